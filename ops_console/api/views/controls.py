"""Circuit breaker."""

from rest_framework.request import Request
from rest_framework.response import Response

from ops_console.api import fields
from ops_console.api.answers.controls import BreakerSerializer, breaker_answer
from ops_console.api.base import ApiView, body_of, caller_of
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk
from ops_console.api.openapi import documented
from ops_console.scopes import Scope
from risk import selectors
from risk.services import breaker

REASON_FIELDS: dict[str, fields.Field] = {"reason": fields.reason(required=True)}
ENGAGE_EXAMPLE = {"reason": "stale prices since the open"}


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
