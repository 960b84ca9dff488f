"""Kill switch and circuit breaker."""

from rest_framework.request import Request
from rest_framework.response import Response

from execution.services.halt import engage_kill_switch
from marketdata.clock import wall_now
from ops_console.api import fields
from ops_console.api.answers.controls import (
    BreakerSerializer,
    HaltSerializer,
    KillSwitchSerializer,
    ReleaseRequestSerializer,
    ScopeSerializer,
    breaker_answer,
    halt_answer,
    kill_switch_answer,
    request_answer,
    scope_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk, known_strategy
from ops_console.api.openapi import documented
from ops_console.api.problems import Problem
from ops_console.scopes import Scope
from risk import selectors
from risk.models import GLOBAL_SCOPE, KillSwitchEvent, ReleaseRequest
from risk.services import breaker, kill_switch
from risk.states import ReleaseState

SOURCE = KillSwitchEvent.Source.API
STRATEGY = fields.strategy("Only this strategy; everything when left out.")
ENGAGE_FIELDS: dict[str, fields.Field] = {"reason": fields.reason(required=True), "strategy": STRATEGY}
RELEASE_FIELDS: dict[str, fields.Field] = {
    "reason": fields.reason(help="Why; needed to ask, not to approve."),
    "strategy": STRATEGY,
    "approval_id": fields.whole("The request that another operator made.", least=1, most=10**15),
}
REASON_FIELDS: dict[str, fields.Field] = {"reason": fields.reason(required=True)}
ENGAGE_EXAMPLE = {"reason": "stale prices since the open"}


class KillSwitchStatusView(ApiView):
    """Where the switches stand."""

    @documented("kill_switch_status", "Status of every kill switch", answers={200: KillSwitchSerializer})
    def get(self, request: Request) -> Response:
        """Return every scope and the requests that wait."""
        pending = ReleaseRequest.objects.filter(state=ReleaseState.PENDING, expires_at__gt=wall_now())
        return Response(kill_switch_answer(selectors.kill_switch_status(), pending))


class KillSwitchEngageView(ApiView):
    """Stop trading."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "kill_switch_engage",
        "Stop trading and cancel open orders",
        description="One operator is enough. Engaging again cancels again what is open.",
        body=ENGAGE_FIELDS,
        example=ENGAGE_EXAMPLE,
        answers={200: HaltSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer with what was done."""
        values = fields.read_fields(body_of(request), ENGAGE_FIELDS)
        scope = scope_named(values["strategy"])
        operator = caller_of(request).username
        report = engage_kill_switch(
            scope=scope, operator=operator, reason=values["reason"], source=SOURCE, wall_now=wall_now()
        )
        return Response(halt_answer(scope, report))


class KillSwitchDisengageView(ApiView):
    """Let trading go on, with two people."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "kill_switch_disengage",
        "Let trading go on",
        description=(
            "Without `approval_id`: ask for it, 202 with the request that another operator has to approve within 15 "
            "minutes. With it: approve the request of another operator, 200."
        ),
        body=RELEASE_FIELDS,
        example={"reason": "prices are back, checked with the broker"},
        answers={200: ScopeSerializer, 202: ReleaseRequestSerializer},
        problems=[
            ProblemCode.SECOND_OPERATOR_REQUIRED,
            ProblemCode.ALREADY_IN_STATE,
            ProblemCode.REQUEST_NOT_PENDING,
            ProblemCode.TOO_SOON,
        ],
    )
    def post(self, request: Request) -> Response:
        """Answer 202 to the first operator, 200 to the second."""
        body = body_of(request)
        approving = body.get("approval_id") is not None
        wanted = dict(RELEASE_FIELDS, reason=fields.reason(required=not approving))
        values = fields.read_fields(body, wanted)
        operator = caller_of(request).username
        if approving:
            return self._approve(values["approval_id"], values["strategy"], operator)
        scope = scope_named(values["strategy"])
        waiting = kill_switch.request_release(scope=scope, operator=operator, reason=values["reason"], now=wall_now())
        return Response(request_answer(waiting), status=202)

    def _approve(self, approval_id: int, strategy: str | None, operator: str) -> Response:
        asked = ReleaseRequest.objects.filter(pk=approval_id).first()
        if asked is not None and strategy is not None and asked.scope != scope_named(strategy):
            raise Problem(ProblemCode.REQUEST_NOT_PENDING, f"release request {approval_id} is for {asked.scope}")
        event = kill_switch.approve_release(request_id=approval_id, operator=operator, source=SOURCE, now=wall_now())
        status = next(item for item in selectors.kill_switch_status() if item.scope == event.scope)
        return Response(scope_answer(status))


class BreakerStatusView(ApiView):
    """The account's breaker."""

    @documented("circuit_breaker_status", "State of the circuit breaker", answers={200: BreakerSerializer})
    def get(self, request: Request) -> Response:
        """Return the breaker as the gate sees it."""
        now = desk()
        return Response(breaker_answer(selectors.breaker_status(now.account.scope, now.wall_now)))


class BreakerTripView(ApiView):
    """Let only reducing orders pass."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "circuit_breaker_trip",
        "Trip the circuit breaker",
        description="Only orders that reduce a position pass from now on. Tripping again changes nothing.",
        body=REASON_FIELDS,
        example=ENGAGE_EXAMPLE,
        answers={200: BreakerSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer with the breaker."""
        values = fields.read_fields(body_of(request), REASON_FIELDS)
        now = desk()
        operator = caller_of(request).username
        breaker.trip(scope=now.account.scope, reason=values["reason"], operator=operator, now=now.wall_now)
        return Response(breaker_answer(selectors.breaker_status(now.account.scope, now.wall_now)))


class BreakerResetView(ApiView):
    """Begin the quiet period after which everything passes."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "circuit_breaker_reset",
        "Reset the circuit breaker",
        description="A quiet period begins; after it the breaker is open, which means trading.",
        body=REASON_FIELDS,
        example={"reason": "losses explained, limits checked"},
        answers={200: BreakerSerializer},
        problems=[ProblemCode.ALREADY_IN_STATE],
    )
    def post(self, request: Request) -> Response:
        """Answer with the breaker."""
        values = fields.read_fields(body_of(request), REASON_FIELDS)
        now = desk()
        operator = caller_of(request).username
        breaker.reset(scope=now.account.scope, reason=values["reason"], operator=operator, now=now.wall_now)
        return Response(breaker_answer(selectors.breaker_status(now.account.scope, now.wall_now)))


def scope_named(strategy: str | None) -> str:
    """Return the scope of a strategy, or the global one.

    :raises Problem: there is no such strategy
    """
    return GLOBAL_SCOPE if strategy is None else f"strategy:{known_strategy(strategy).name}"
