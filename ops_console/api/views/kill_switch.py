"""The kill switch: count, stop, see what became of it, let trading go on."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from execution.halting.procedure import begin
from execution.halting.release import approve_release, require_over, statement
from execution.halting.residue import accept
from execution.models import HaltProcedure
from execution.models.halting import RUNNING
from execution.services.halt import engage_kill_switch
from execution.types import HaltWish
from marketdata.clock import wall_now
from ops_console.api import fields
from ops_console.api.answers.controls import (
    ReleaseRequestSerializer,
    ScopeSerializer,
    request_answer,
    scope_answer,
)
from ops_console.api.answers.kill_switch import (
    HaltPreviewSerializer,
    HaltProcedureSerializer,
    HaltSerializer,
    KillSwitchSerializer,
    halt_answer,
    preview_answer,
    procedure_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk, known_strategy
from ops_console.api.openapi import documented
from ops_console.api.problems import Problem, invalid
from ops_console.scopes import Scope
from risk import selectors
from risk.models import GLOBAL_SCOPE, KillSwitchEvent, ReleaseRequest
from risk.services import kill_switch
from risk.states import ReleaseState, SwitchLevel
from trading.services.halt_preview import dispatcher_note, preview, silent_seconds

SOURCE = KillSwitchEvent.Source.API
STRATEGY = fields.strategy("Only this strategy; everything when left out.")
SCOPE = fields.pattern(
    r"^(global|(strategy|account|symbol):[A-Za-z0-9._/-]{1,64})$",
    "global, strategy:NAME, account:NAME or symbol:NAME",
    "What is stopped; instead of `strategy`.",
    "symbol:AAPL",
)
LEVEL_FORM = f"^({'|'.join(kill_switch.LEVELS)})$"
LEVEL = fields.pattern(
    LEVEL_FORM, f"one of {', '.join(kill_switch.LEVELS)}", "How far.", "halted", default=SwitchLevel.HALTED.value
)
EVERYTHING = fields.boolean("Cancel orders of the account that are not ours as well.", default=False)
AT_OPEN = fields.boolean("While the market is closed: closing orders wait for the next open.", default=False)
PREVIEW_FIELDS: dict[str, fields.Field] = {
    "scope": SCOPE,
    "level": LEVEL,
    "at_open": fields.flag("Closing orders may wait for the next open.", default=False),
}
ENGAGE_FIELDS: dict[str, fields.Field] = {
    "reason": fields.reason(required=True),
    "strategy": STRATEGY,
    "scope": SCOPE,
    "level": LEVEL,
    "everything": EVERYTHING,
    "at_open": AT_OPEN,
}
RELEASE_FIELDS: dict[str, fields.Field] = {
    "reason": fields.reason(help="Why; needed to ask, not to approve."),
    "strategy": STRATEGY,
    "scope": SCOPE,
    "word": fields.pattern(
        r"^[\x20-\x7e]{1,100}$", "the word RELEASE and the scope", "Needed to ask.", "RELEASE GLOBAL"
    ),
    "to_level": fields.pattern(
        "^(active|reducing|halted)$", "active, reducing or halted", "Down to where.", "active", default="active"
    ),
    "approval_id": fields.whole("The request that another operator made.", least=1, most=10**15),
}
ACCEPT_FIELDS: dict[str, fields.Field] = {
    "name": fields.pattern(r"^[\x21-\x7e]{1,160}$", "the name of what is left", "As the halt tells it.", "manual/AAPL"),
    "reason": fields.reason(required=True),
}
FLATTEN_FIELDS: dict[str, fields.Field] = {
    "reason": fields.reason(required=True),
    "strategy": STRATEGY,
    "everything": EVERYTHING,
    "at_open": AT_OPEN,
}
ENGAGE_EXAMPLE = {"reason": "stale prices since the open", "level": "halted"}


class KillSwitchStatusView(ApiView):
    """Where the switches stand."""

    @documented("kill_switch_status", "Status of every kill switch", answers={200: KillSwitchSerializer})
    def get(self, request: Request) -> Response:
        """Return every scope, the requests that wait, the halts that are not over."""
        now = wall_now()
        statuses = selectors.kill_switch_status()
        pending = ReleaseRequest.objects.filter(state=ReleaseState.PENDING, expires_at__gt=now)
        halts = list(HaltProcedure.objects.filter(state__in=RUNNING).select_related("account").order_by("pk"))
        return Response(
            {
                "engaged": statuses[0].engaged,
                "scopes": [scope_answer(status) for status in statuses],
                "pending_requests": [request_answer(waiting) for waiting in pending],
                "halts": [procedure_answer(halt) for halt in halts],
                "warning": dispatcher_note(silent_seconds(now)) if halts else "",
            }
        )


class KillSwitchPreviewView(ApiView):
    """Count before anything is done."""

    @documented(
        "kill_switch_preview",
        "What engaging would touch now",
        query=PREVIEW_FIELDS,
        answers={200: HaltPreviewSerializer},
    )
    def get(self, request: Request) -> Response:
        """Return scope and consequence."""
        values = query_of(request, PREVIEW_FIELDS)
        now = desk()
        found = preview(
            scope=values["scope"] or GLOBAL_SCOPE,
            level=values["level"],
            account=now.account,
            wall_now=now.wall_now,
            at_open=values["at_open"],
        )
        return Response(preview_answer(found))


class KillSwitchEngageView(ApiView):
    """Stop trading."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "kill_switch_engage",
        "Stop trading and cancel open orders",
        description=(
            "One operator is enough, at any level: reducing (only orders that reduce pass), halted (nothing passes), "
            "flattening (halted, and positions are closed). Engaging again cancels again what is open; a weaker level "
            "takes nothing back."
        ),
        body=ENGAGE_FIELDS,
        example=ENGAGE_EXAMPLE,
        answers={200: HaltSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer with what was done."""
        values = fields.read_fields(body_of(request), ENGAGE_FIELDS)
        scope = scope_named(values)
        report = engage_kill_switch(
            scope=scope,
            operator=caller_of(request).username,
            reason=values["reason"],
            source=SOURCE,
            wall_now=wall_now(),
            level=values["level"],
            everything=values["everything"],
            at_open=values["at_open"],
        )
        return Response(halt_answer(scope, report, warning=dispatcher_note(silent_seconds(wall_now()))))


class KillSwitchDisengageView(ApiView):
    """Let trading go on, with two people."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "kill_switch_disengage",
        "Let trading go on",
        description=(
            "Without `approval_id`: ask for it with the typed `word`, 202 with the request that another operator has "
            "to approve, a minute later at the earliest and within 15. With it: approve the request of another "
            "operator, 200. A halt that closes positions, or has left what nobody has accepted, is not released."
        ),
        body=RELEASE_FIELDS,
        example={"reason": "prices are back, checked with the broker", "word": "RELEASE GLOBAL"},
        answers={200: ScopeSerializer, 202: ReleaseRequestSerializer},
        problems=[
            ProblemCode.SECOND_OPERATOR_REQUIRED,
            ProblemCode.ALREADY_IN_STATE,
            ProblemCode.REQUEST_NOT_PENDING,
            ProblemCode.HALT_NOT_OVER,
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
            return self._approve(values, operator)
        scope = scope_named(values)
        if selectors.is_engaged(scope):
            kill_switch.require_word(scope, values["word"])
        require_over(scope)
        waiting = kill_switch.request_release(
            scope=scope, operator=operator, reason=values["reason"], now=wall_now(), to_level=values["to_level"]
        )
        said = statement(scope, to_level=waiting.to_level)
        return Response({**request_answer(waiting), "releases": list(said.lines)}, status=202)

    def _approve(self, values: dict[str, Any], operator: str) -> Response:
        approval_id = values["approval_id"]
        asked = ReleaseRequest.objects.filter(pk=approval_id).first()
        named = values["strategy"] is not None or values["scope"] is not None
        if asked is not None and named and asked.scope != scope_named(values):
            raise Problem(ProblemCode.REQUEST_NOT_PENDING, f"release request {approval_id} is for {asked.scope}")
        event = approve_release(request_id=approval_id, operator=operator, source=SOURCE, wall_now=wall_now())
        status = next(item for item in selectors.kill_switch_status() if item.scope == event.scope)
        return Response(scope_answer(status))


class HaltView(ApiView):
    """One halt."""

    @documented(
        "kill_switch_halt",
        "How a halt stands",
        answers={200: HaltProcedureSerializer},
        problems=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, halt_id: int) -> Response:
        """Return it with what it has left."""
        return Response(procedure_answer(_halt(halt_id)))


class HaltAcceptView(ApiView):
    """Take what is left of a halt as it is."""

    scopes = {"POST": Scope.RISK}

    @documented(
        "kill_switch_accept",
        "Accept by name what a halt has left",
        body=ACCEPT_FIELDS,
        example={"name": "manual/AAPL", "reason": "delisted, sold by phone"},
        answers={200: HaltProcedureSerializer},
        problems=[ProblemCode.NOT_FOUND],
    )
    def post(self, request: Request, halt_id: int) -> Response:
        """Answer with the halt."""
        values = fields.read_fields(
            body_of(request), dict(ACCEPT_FIELDS, name=ACCEPT_FIELDS["name"].but(required=True))
        )
        accept(
            procedure_id=halt_id,
            name=values["name"],
            operator=caller_of(request).username,
            reason=values["reason"],
            wall_now=wall_now(),
        )
        return Response(procedure_answer(_halt(halt_id)))


class FlattenAllView(ApiView):
    """Close everything, and go on trading."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "positions_flatten_all",
        "Cancel open orders and close all positions",
        description=(
            "Without a switch: new orders go on. Open orders are canceled, and positions closed once the cancels are "
            "done; ask for the halt until it is `verified`. The same again while it runs returns that halt. To stop "
            "trading as well, engage the kill switch at `flattening`."
        ),
        body=FLATTEN_FIELDS,
        example={"reason": "end of the experiment"},
        answers={202: HaltProcedureSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer with the halt that closes."""
        values = fields.read_fields(body_of(request), FLATTEN_FIELDS)
        now = desk()
        scope = now.account.scope if values["strategy"] is None else scope_named({**values, "scope": None})
        running = HaltProcedure.objects.filter(account=now.account, scope=scope, flatten=True, state__in=RUNNING)
        procedure = running.first() or begin(
            account=now.account,
            wish=HaltWish(
                scope=scope,
                level=SwitchLevel.ACTIVE,
                operator=caller_of(request).username,
                reason=values["reason"],
                flatten=True,
                everything=values["everything"],
                at_open=values["at_open"],
            ),
            wall_now=now.wall_now,
        )
        return Response(procedure_answer(procedure), status=202)


def _halt(halt_id: int) -> HaltProcedure:
    procedure = HaltProcedure.objects.select_related("account").filter(pk=halt_id).first()
    if procedure is None:
        raise Problem(ProblemCode.NOT_FOUND, f"there is no halt {halt_id}")
    return procedure


def scope_named(values: dict[str, Any]) -> str:
    """Return the scope that `scope` or `strategy` names, the global one when neither does.

    :raises Problem: both are given, or there is no such strategy
    """
    scope, strategy = values["scope"], values["strategy"]
    if scope is not None and strategy is not None:
        raise invalid("scope", scope, "one of scope and strategy, not both")
    if scope is not None and scope.startswith("strategy:"):
        strategy = scope.removeprefix("strategy:")
    if strategy is not None:
        return f"strategy:{known_strategy(strategy).name}"
    return GLOBAL_SCOPE if scope is None else str(scope)
