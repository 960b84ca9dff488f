"""Limits that are other for a while: ask, approve, turn down, take back."""

from rest_framework.request import Request
from rest_framework.response import Response

from marketdata.clock import wall_now
from ops_console.api import fields
from ops_console.api.answers.overrides import LimitOverrideSerializer, LimitOverridesSerializer, override_answer
from ops_console.api.base import ApiView, body_of, caller_of
from ops_console.api.codes import ProblemCode
from ops_console.api.openapi import documented
from ops_console.api.views.limits import SCOPE_FIELDS, require_known
from ops_console.scopes import Scope
from risk.limits import SETTABLE
from risk.models import LimitOverride
from risk.services import overrides

SHOWN = 100
NAME_FORM = f"^({'|'.join(sorted(SETTABLE))})$"
REQUEST_FIELDS: dict[str, fields.Field] = {
    "name": fields.pattern(
        NAME_FORM, "the name of a limit, see GET /limits", "Which limit.", "max_order_notional", required=True
    ),
    "value": fields.decimal_number("What it is to be, in the limit's unit.", required=True),
    "valid_until": fields.instant("Wall time from which it counts no more, at most 7 days ahead.", required=True),
    "valid_from": fields.instant("Wall time from which it counts; at once when left out."),
    "reason": fields.reason(required=True),
    **SCOPE_FIELDS,
}
REVOKE_FIELDS: dict[str, fields.Field] = {"reason": fields.reason(required=True)}
PENDING = [ProblemCode.REQUEST_NOT_PENDING]

NO_FIELDS: dict[str, fields.Field] = {}


class OverridesView(ApiView):
    """All overrides, and asking for one."""

    scopes = {"GET": Scope.READ, "POST": Scope.RISK}

    @documented("overrides_list", "Overrides of limits", answers={200: LimitOverridesSerializer})
    def get(self, request: Request) -> Response:
        """Return the newest hundred, whatever became of them."""
        now = wall_now()
        return Response({"overrides": [override_answer(row, now) for row in LimitOverride.objects.all()[:SHOWN]]})

    @documented(
        "overrides_request",
        "Ask for another value of a limit for a while",
        description="Changes nothing until another person approves it. The clock ends it, no job has to.",
        body=REQUEST_FIELDS,
        example={
            "name": "max_order_notional",
            "value": "150000",
            "valid_until": "2026-03-02T21:00:00Z",
            "reason": "index rebalance at the close, agreed with the risk desk",
        },
        answers={202: LimitOverrideSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer 202 with the request that another person has to approve."""
        values = fields.read_fields(body_of(request), REQUEST_FIELDS)
        require_known(values)
        now = wall_now()
        row = overrides.request_override(
            name=values["name"],
            value=values["value"],
            valid_from=values["valid_from"],
            valid_until=values["valid_until"],
            strategy=values["strategy"] or "",
            symbol=values["symbol"] or "",
            operator=caller_of(request).username,
            reason=values["reason"],
            now=now,
        )
        return Response(override_answer(row, now), status=202)


class OverrideApproveView(ApiView):
    """The second person's word."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "override_approve",
        "Approve another person's override",
        body=NO_FIELDS,
        answers={200: LimitOverrideSerializer},
        problems=[ProblemCode.SECOND_OPERATOR_REQUIRED, *PENDING],
    )
    def post(self, request: Request, override_id: int) -> Response:
        """Answer with the override, in force from the next order on."""
        fields.read_fields(body_of(request), NO_FIELDS)
        now = wall_now()
        row = overrides.approve_override(override_id=override_id, operator=caller_of(request).username, now=now)
        return Response(override_answer(row, now))


class OverrideRejectView(ApiView):
    """A request that is turned down."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "override_reject",
        "Turn an override down",
        body=NO_FIELDS,
        answers={200: LimitOverrideSerializer},
        problems=PENDING,
    )
    def post(self, request: Request, override_id: int) -> Response:
        """Answer with the request, closed; who asked may take it back so."""
        fields.read_fields(body_of(request), NO_FIELDS)
        now = wall_now()
        row = overrides.reject_override(override_id=override_id, operator=caller_of(request).username, now=now)
        return Response(override_answer(row, now))


class OverrideRevokeView(ApiView):
    """An end before its time."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "override_revoke",
        "End an override before its time",
        body=REVOKE_FIELDS,
        example={"reason": "the rebalance is done, back to normal"},
        answers={200: LimitOverrideSerializer},
        problems=PENDING,
    )
    def post(self, request: Request, override_id: int) -> Response:
        """Answer with the override, over from the next order on; one person is enough."""
        values = fields.read_fields(body_of(request), REVOKE_FIELDS)
        now = wall_now()
        row = overrides.revoke_override(
            override_id=override_id, operator=caller_of(request).username, reason=values["reason"], now=now
        )
        return Response(override_answer(row, now))
