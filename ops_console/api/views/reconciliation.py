"""Reconciliation with the broker: run it, see what differs, decide, and force as a last resort."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from execution.brokers.base import BrokerError
from execution.brokers.registry import broker_for
from execution.models import Account, Break, ReconciliationRun
from execution.reconciliation import deciding
from execution.reconciliation.forced import approve_force, request_force
from execution.reconciliation.runs import reconcile
from ops_console.api import fields
from ops_console.api.answers.reconciliation import (
    BreakPageSerializer,
    BreakSerializer,
    ForcedCompletionSerializer,
    ReconciliationRunSerializer,
    ReconciliationStatusSerializer,
    break_answer,
    forced_answer,
    run_answer,
    status_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk
from ops_console.api.openapi import documented
from ops_console.api.pagination import PAGE_FIELDS, newest_first
from ops_console.api.problems import Problem
from ops_console.scopes import Scope

NO_FIELDS: dict[str, fields.Field] = {}
REASON_FIELDS: dict[str, fields.Field] = {"reason": fields.reason(required=True)}
FORCE_FIELDS: dict[str, fields.Field] = {
    "reason": fields.reason(help="Why; needed to ask, not to approve."),
    "approval_id": fields.whole("The request that another operator made.", least=1, most=10**15),
}
LIST_FIELDS: dict[str, fields.Field] = {
    "state": fields.choice(Break.State, "State of the break."),
    "kind": fields.choice(Break.Kind, "What differs."),
    **PAGE_FIELDS,
}
EXAMPLE = {"reason": "checked with the broker by telephone"}


class ReconciliationStatusView(ApiView):
    """How the book stands against the broker's."""

    @documented("reconciliation_status", "State of the reconciliation", answers={200: ReconciliationStatusSerializer})
    def get(self, request: Request) -> Response:
        """Return the account's state."""
        now = desk()
        return Response(status_answer(now.account, now.wall_now))


class ReconciliationRunView(ApiView):
    """Compare now."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "reconciliation_run",
        "Compare the book with the broker now",
        description="409 while another comparison is under way, 503 when the broker gives no whole answer.",
        body=NO_FIELDS,
        answers={200: ReconciliationRunSerializer},
        problems=[ProblemCode.RUN_CONFLICT, ProblemCode.BROKER_UNAVAILABLE],
    )
    def post(self, request: Request) -> Response:
        """Answer with the run and its verdict."""
        fields.read_fields(body_of(request), NO_FIELDS)
        now = desk()
        try:
            run = reconcile(
                account=now.account,
                broker=broker_for(now.account),
                trigger=ReconciliationRun.Trigger.OPERATOR,
                wall_now=now.wall_now,
                started_by=caller_of(request).username,
            )
        except BrokerError as error:
            raise Problem(ProblemCode.BROKER_UNAVAILABLE, error.reason) from None
        return Response(run_answer(run))


class BreaksView(ApiView):
    """What differs and what did."""

    @documented("reconciliation_breaks", "Breaks, newest first", query=LIST_FIELDS, answers={200: BreakPageSerializer})
    def get(self, request: Request) -> Response:
        """Return a page of breaks."""
        query = query_of(request, LIST_FIELDS)
        wanted = {name: query[name] for name in ("state", "kind") if query[name] is not None}
        rows = Break.objects.filter(account=desk().account, **wanted)
        return Response(newest_first(rows, limit=query["limit"], cursor=query["cursor"]).body(break_answer))


class BreakDecisionView(ApiView):
    """Decide about one break."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "reconciliation_break_decide",
        "Accept, ignore or repair a break",
        description=(
            "`accept`: it may stay as it is. `ignore`: for a day. `repair`: carry its proposal out, after the broker "
            "was asked once more."
        ),
        body=REASON_FIELDS,
        example=EXAMPLE,
        answers={200: BreakSerializer},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.ALREADY_IN_STATE, ProblemCode.BROKER_UNAVAILABLE],
    )
    def post(self, request: Request, break_id: int, decision: str) -> Response:
        """Answer with the break."""
        values = fields.read_fields(body_of(request), REASON_FIELDS)
        now = desk()
        if not Break.objects.filter(pk=break_id, account=now.account).exists():
            raise Problem(ProblemCode.NOT_FOUND, f"there is no break {break_id}")
        operator = caller_of(request).username
        return Response(break_answer(decide(decision, break_id, now.account, operator, values["reason"])))


class ForceCompleteView(ApiView):
    """Let the account trade without a clean run, with two people."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "reconciliation_force_complete",
        "Let the account trade for 15 minutes without a clean run",
        description=(
            "Without `approval_id`: ask for it, 202; a run must have been tried within 15 minutes. With it: approve "
            "the request of another operator, 200."
        ),
        body=FORCE_FIELDS,
        example=EXAMPLE,
        answers={200: ForcedCompletionSerializer, 202: ForcedCompletionSerializer},
        problems=[
            ProblemCode.SECOND_OPERATOR_REQUIRED,
            ProblemCode.ALREADY_IN_STATE,
            ProblemCode.REQUEST_NOT_PENDING,
        ],
    )
    def post(self, request: Request) -> Response:
        """Answer 202 to the first operator, 200 to the second."""
        body = body_of(request)
        approving = body.get("approval_id") is not None
        values = fields.read_fields(body, dict(FORCE_FIELDS, reason=fields.reason(required=not approving)))
        now, operator = desk(), caller_of(request).username
        if approving:
            approved = approve_force(request_id=values["approval_id"], operator=operator, wall_now=now.wall_now)
            return Response(forced_answer(approved))
        asked = request_force(account=now.account, operator=operator, reason=values["reason"], wall_now=now.wall_now)
        return Response(forced_answer(asked), status=202)


def decide(decision: str, break_id: int, account: Account, operator: str, reason: str) -> Break:
    """Carry out a decision about a break.

    :raises Problem: the broker that a repair has to ask gives no answer
    """
    now = desk().wall_now
    asked: dict[str, Any] = {"break_id": break_id, "account": account, "operator": operator, "reason": reason}
    asked["wall_now"] = now
    if decision == "accept":
        return deciding.accept(**asked)
    if decision == "ignore":
        return deciding.ignore(**asked)
    try:
        return deciding.repair(broker=broker_for(account), **asked)
    except BrokerError as error:
        raise Problem(ProblemCode.BROKER_UNAVAILABLE, error.reason) from None
