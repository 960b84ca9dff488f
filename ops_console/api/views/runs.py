"""Runs and strategies."""

import structlog
from rest_framework.request import Request
from rest_framework.response import Response

from execution.models import Strategy
from marketdata import calendar
from ops_console.api import fields
from ops_console.api.answers.runs import (
    RunDetailSerializer,
    RunPageSerializer,
    StrategyListSerializer,
    StrategySerializer,
    run_answer,
    run_detail_answer,
    strategy_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk, known_strategy
from ops_console.api.openapi import documented
from ops_console.api.pagination import PAGE_FIELDS, newest_first
from ops_console.api.problems import Problem, invalid
from ops_console.scopes import Scope
from signals.strategies.registry import strategy_names
from trading import selectors
from trading.errors import LeaseLostError, RunBusyError, RunFailedError
from trading.models import Run
from trading.services.runs import DAILY, run_strategy
from trading.states import RunState

ADDRESS = "/api/v1/runs/"
STATES = tuple(RunState.values)
RUN_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy("A strategy that generates signals.", required=True),
    "trading_date": fields.day("Must be the desk's trading date, which it is when left out."),
}
LIST_FIELDS: dict[str, fields.Field] = {
    "strategy": fields.strategy(),
    "state": fields.choice(RunState, "State of the run."),
    "from": fields.day("First session."),
    "to": fields.day("Last session."),
    **PAGE_FIELDS,
}
log = structlog.get_logger(__name__)


class RunsView(ApiView):
    """Start a run, and list them."""

    scopes = {"GET": Scope.READ, "POST": Scope.TRADE}

    @documented(
        "runs_start",
        "Run a strategy for the desk's trading date",
        description=(
            "Signals, targets and orders, before the answer comes. A run that was done before is returned as it is "
            "(200); one that failed is taken up at the step that failed. A failure answers 500 with the run's id."
        ),
        body=RUN_FIELDS,
        example={"strategy": "momentum"},
        answers={201: RunDetailSerializer, 200: RunDetailSerializer},
        problems=[ProblemCode.RUN_CONFLICT, ProblemCode.RUN_FAILED],
    )
    def post(self, request: Request) -> Response:
        """Answer 201 with a run that was started now."""
        values = fields.read_fields(body_of(request), RUN_FIELDS)
        now = desk()
        trading_date = calendar.trading_date(now.market_now)
        if values["trading_date"] not in (None, trading_date):
            raise invalid("trading_date", values["trading_date"].isoformat(), trading_date.isoformat())
        strategy = runnable(values["strategy"])
        log.info("run_requested", strategy=strategy.name, operator=caller_of(request).username)
        before = Run.objects.filter(
            account=now.account, strategy=strategy, trading_date=trading_date, kind=DAILY
        ).exists()
        try:
            run = run_strategy(account=now.account, strategy=strategy, trading_date=trading_date, wall_now=now.wall_now)
        except (RunBusyError, LeaseLostError) as error:
            raise Problem(ProblemCode.RUN_CONFLICT, str(error)) from error
        except RunFailedError as error:
            raise Problem(ProblemCode.RUN_FAILED, str(error), extra={"run_id": error.run_id}) from error
        response = Response(run_detail_answer(run), status=200 if before else 201)
        response.headers["Location"] = f"{ADDRESS}{run.pk}"
        return response

    @documented("runs_list", "List runs, newest first", query=LIST_FIELDS, answers={200: RunPageSerializer})
    def get(self, request: Request) -> Response:
        """Return one page."""
        wanted = query_of(request, LIST_FIELDS)
        found = selectors.runs(
            account=desk().account,
            strategy=wanted["strategy"],
            state=wanted["state"],
            start=wanted["from"],
            end=wanted["to"],
        )
        return Response(newest_first(found, limit=wanted["limit"], cursor=wanted["cursor"]).body(run_answer))


class RunView(ApiView):
    """One run."""

    @documented("runs_get", "Get a run", answers={200: RunDetailSerializer}, problems=[ProblemCode.NOT_FOUND])
    def get(self, request: Request, run_id: int) -> Response:
        """Return the run with its steps."""
        run = selectors.runs(account=desk().account).filter(pk=run_id).first()
        if run is None:
            raise Problem(ProblemCode.NOT_FOUND, f"there is no run {run_id}")
        return Response(run_detail_answer(run))


class StrategiesView(ApiView):
    """Who owns orders and positions."""

    @documented("strategies_list", "List strategies", answers={200: StrategyListSerializer})
    def get(self, request: Request) -> Response:
        """Return all of them."""
        runnable_names = set(strategy_names())
        rows = Strategy.objects.order_by("name")
        return Response(
            {"results": [strategy_answer(row, generates_signals=row.name in runnable_names) for row in rows]}
        )


class StrategyView(ApiView):
    """One strategy."""

    @documented("strategies_get", "Get a strategy", answers={200: StrategySerializer}, problems=[ProblemCode.NOT_FOUND])
    def get(self, request: Request, name: str) -> Response:
        """Return the strategy."""
        row = Strategy.objects.filter(name=name).first()
        if row is None:
            raise Problem(ProblemCode.NOT_FOUND, f"there is no strategy {name}")
        return Response(strategy_answer(row, generates_signals=row.name in strategy_names()))


def runnable(name: str) -> Strategy:
    """Return a strategy that can be run.

    :raises Problem: unknown, or it generates no signals
    """
    if name not in strategy_names():
        raise invalid("strategy", name, f"one of {', '.join(sorted(strategy_names()))}")
    return known_strategy(name)
