"""Signals, and versions in the shadow beside the active one."""

import structlog
from rest_framework.request import Request
from rest_framework.response import Response

from execution.models import Strategy
from ops_console.api import fields
from ops_console.api.answers.signals import (
    SignalPageSerializer,
    SignalSetSerializer,
    VersionRecordListSerializer,
    record_answer,
    set_answer,
    signal_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk
from ops_console.api.openapi import documented
from ops_console.api.pagination import PAGE_FIELDS, newest_first
from ops_console.api.problems import Problem, invalid
from ops_console.scopes import Scope
from signals.errors import SignalError, UnknownSymbolsError
from signals.parameters import BadParameter
from signals.selectors import shadow_comparison, signals
from trading.errors import EmptyUniverseError
from trading.services.asked_signals import asked_signals

GENERATE_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy("A strategy that generates signals.", required=True),
    "symbols": fields.symbol_list(),
    "as_of": fields.day("A session; the newest close that the desk has seen when left out."),
}
LIST_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy("Name of the strategy."),
    "symbol": fields.symbol(),
    "as_of": fields.day("Session whose close is the newest thing known."),
    **PAGE_FIELDS,
}
log = structlog.get_logger(__name__)


class SignalsView(ApiView):
    """Stored signals."""

    @documented("signals_list", "List signals, newest first", query=LIST_FIELDS, answers={200: SignalPageSerializer})
    def get(self, request: Request) -> Response:
        """Return one page; signals of replays are among them."""
        wanted = query_of(request, LIST_FIELDS)
        found = signals(strategy=wanted["strategy"], as_of=wanted["as_of"], symbol=wanted["symbol"])
        return Response(newest_first(found, limit=wanted["limit"], cursor=wanted["cursor"]).body(signal_answer))


class SignalsGenerateView(ApiView):
    """Signals asked for outside of a run."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "signals_generate",
        "Make a strategy's signals as of a close",
        description=(
            "Stored, and traded by nobody. The same data, code, model and names give the same set, which is then "
            "returned as it is (200). Names without a fresh bar are excluded, each with its reason."
        ),
        body=GENERATE_FIELDS,
        example={"strategy": "momentum", "symbols": ["AAPL", "IBM"]},
        answers={201: SignalSetSerializer, 200: SignalSetSerializer},
        problems=[ProblemCode.MODEL_UNUSABLE],
    )
    def post(self, request: Request) -> Response:
        """Answer 201 with a set that was made now."""
        values = fields.read_fields(body_of(request), GENERATE_FIELDS)
        now = desk()
        log.info("signals_requested", strategy=values["strategy"], operator=caller_of(request).username)
        try:
            made, new = asked_signals(
                strategy=values["strategy"],
                symbols=values["symbols"],
                as_of=values["as_of"],
                market_now=now.market_now,
                wall_now=now.wall_now,
            )
        except BadParameter as error:
            raise invalid(error.field, error.value, error.allowed) from error
        except UnknownSymbolsError as error:
            raise invalid("symbols", ", ".join(error.symbols), "symbols of known instruments") from error
        except EmptyUniverseError as error:
            raise invalid("symbols", "", f"the names to score: {error}") from error
        except SignalError as error:
            raise Problem(ProblemCode.MODEL_UNUSABLE, str(error)) from error
        return Response(set_answer(made), status=201 if new else 200)


class StrategyShadowsView(ApiView):
    """Versions in the shadow."""

    @documented(
        "strategies_shadows",
        "Compare a strategy's active model with its shadows",
        description="By the same arithmetic for all: target weights, session by session, less an assumed cost.",
        answers={200: VersionRecordListSerializer},
        problems=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request, name: str) -> Response:
        """Return a line for each version that was compared."""
        if not Strategy.objects.filter(name=name).exists():
            raise Problem(ProblemCode.NOT_FOUND, f"there is no strategy {name}")
        return Response({"results": [record_answer(record) for record in shadow_comparison(name)]})
