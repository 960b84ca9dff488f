"""Backtests: ask for one, see how far it is and what came of it, end it."""

from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from marketdata.clock import wall_now
from ops_console.api import fields
from ops_console.api.answers.backtests import (
    BacktestDaysSerializer,
    BacktestDetailSerializer,
    BacktestPageSerializer,
    backtest_answer,
    backtest_days_answer,
    backtest_detail_answer,
)
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import ProblemCode
from ops_console.api.openapi import documented
from ops_console.api.pagination import PAGE_FIELDS, newest_first
from ops_console.api.problems import Problem
from ops_console.scopes import Scope
from signals.backtest.files import BacktestFilesMissing, read_table
from signals.backtest.spec import OBJECTIVES
from signals.models import Backtest, BacktestKind, BacktestState
from trading.services.backtests import ask_backtest, cancel_backtest, standing_of, standings

ADDRESS = "/api/v1/backtests/"
TITLE_FORM = r"^[\x20-\x7e]{1,120}$"


def _number(help: str) -> fields.Field:
    return fields.decimal_number(help)


def _object(help: str, example: dict[str, Any]) -> fields.Field:
    """Return a field for a small object of JSON; what is in it is read where its meaning is known."""

    def read(raw: Any) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise fields.Refused
        return {name: _plain(value) for name, value in raw.items()}

    return fields.Field(read, "an object", {"type": "object", "example": example}, help)


def _sessions(help: str, most: int, least: int = 0) -> fields.Field:
    return fields.whole(help, least=least, most=most)


BODY: dict[str, fields.Field] = {
    "kind": fields.choice(BacktestKind, "What is done.", default=BacktestKind.BACKTEST),
    "strategy": fields.strategy("A strategy that generates signals.", required=True),
    "start": fields.day("First session that trades.", required=True),
    "end": fields.day("Last session.", required=True),
    "symbols": fields.symbol_list(),
    "title": fields.pattern(TITLE_FORM, "1 to 120 printable ASCII characters", "To find it again.", "Momentum, top 1"),
    "settings": _object("Settings of the strategy that differ from its own.", {"top": 1}),
    "fill": fields.pattern(r"^(close|open)$", "close or open", "Price of the session at which orders trade.", "close"),
    "capital": _number("Account currency; 1000000 when left out."),
    "delay": _sessions("Sessions between the close that decides and the trade; 1 when left out.", 20, 1),
    "invested": _number("Share of the equity that targets are made of; 1 when left out."),
    "commission_bps": _number("Basis points of the notional; 0.5 when left out."),
    "half_spread_bps": _number("Basis points of the notional; 2 when left out."),
    "impact": _number("Y of the square-root law; 1 when left out, 0 for none."),
    "borrow_bps": _number("Basis points a year of what is short; 50 when left out."),
    "max_participation": _number("Largest order as a share of the average daily volume; no limit when left out."),
    "settle_after": _sessions("Sessions without a price after which a name is settled; never when left out.", 1000, 1),
    "delisting_return": _number("What a name that is gone returns when it is settled; 0 when left out."),
    "seed": fields.whole("Of everything random; 0 when left out.", least=0, most=2**31 - 1),
    "draws": fields.whole("Histories of the bootstrap; 1000 when left out, 0 for none.", least=0, most=20_000),
    "block": _number("Mean length of the bootstrap's blocks in sessions; the cube root of all when left out."),
    "train": _sessions("Walk forward: sessions to learn from; 504 when left out.", 10_000, 20),
    "valid": _sessions("Walk forward: sessions to stop a training by; 126 when left out.", 2_000),
    "test": _sessions("Walk forward: sessions between two refits; 63 when left out.", 2_000, 5),
    "embargo": _sessions("Walk forward: sessions left out between them; 5 when left out.", 60, 2),
    "expanding": fields.boolean("Walk forward: keep the first session for ever."),
    "model": _object("Walk forward: parameters of the training.", {"num_leaves": 31}),
    "space": _object(
        "Search, or walk forward that searches: settings with a range or choices.", {"top": {"low": 1, "high": 3}}
    ),
    "trials": fields.whole("Search: sets of settings to try; 30 when left out.", least=1, most=1000),
    "objective": fields.pattern(
        f"^({'|'.join(OBJECTIVES)})$", f"one of {', '.join(OBJECTIVES)}", "Search: what is to be large.", "sharpe"
    ),
    "holdout": _number("Search: share of the range that it never sees; 0.3 when left out."),
}
LIST_FIELDS: dict[str, fields.Field] = {
    "kind": fields.choice(BacktestKind, "What is done."),
    "state": fields.choice(BacktestState, "Where it stands."),
    "strategy": fields.strategy(),
    **PAGE_FIELDS,
}
NO_FIELDS: dict[str, fields.Field] = {}


class BacktestsView(ApiView):
    """Ask for a backtest, and list them."""

    scopes = {"GET": Scope.READ, "POST": Scope.TRADE}

    @documented(
        "backtests_create",
        "Ask for a backtest",
        description=(
            "Read and stored at once, computed by the process `jobs` in the background: look at it again, or cancel "
            "it. A field that belongs to another kind is refused."
        ),
        body=BODY,
        example={"strategy": "momentum", "start": "2010-01-04", "end": "2013-02-28", "half_spread_bps": "3"},
        answers={202: BacktestDetailSerializer},
    )
    def post(self, request: Request) -> Response:
        """Answer 202 with the backtest that waits."""
        values = fields.read_fields(body_of(request), BODY)
        kind = values.pop("kind")
        row = ask_backtest(
            kind=str(kind.value),
            parameters=parameters_of(values),
            asked_by=caller_of(request).username,
            wall_now=wall_now(),
        )
        response = Response(backtest_detail_answer(standing_of(row)), status=202)
        response.headers["Location"] = f"{ADDRESS}{row.pk}"
        return response

    @documented(
        "backtests_list", "List backtests, newest first", query=LIST_FIELDS, answers={200: BacktestPageSerializer}
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        wanted = query_of(request, LIST_FIELDS)
        page = newest_first(_found(wanted), limit=wanted["limit"], cursor=wanted["cursor"])
        rows = [backtest_answer(standing) for standing in standings(page.rows)]
        return Response({"results": rows, "next_cursor": page.next_cursor})


class BacktestView(ApiView):
    """One backtest."""

    @documented(
        "backtests_get", "Get a backtest", answers={200: BacktestDetailSerializer}, problems=[ProblemCode.NOT_FOUND]
    )
    def get(self, request: Request, backtest_id: int) -> Response:
        """Return the backtest with parameters, figures and everything that was told about it."""
        return Response(backtest_detail_answer(standing_of(known_backtest(backtest_id))))


class BacktestDaysView(ApiView):
    """The sessions of one backtest."""

    @documented(
        "backtests_days",
        "Get the sessions of a completed backtest",
        answers={200: BacktestDaysSerializer},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.ALREADY_IN_STATE],
    )
    def get(self, request: Request, backtest_id: int) -> Response:
        """Return equity, exposure, turnover and costs of every session."""
        row = known_backtest(backtest_id)
        if row.state != BacktestState.COMPLETED:
            raise Problem(
                ProblemCode.ALREADY_IN_STATE, f"backtest {row.pk} is {row.state}, not completed: it has no rows"
            )
        try:
            return Response(backtest_days_answer(read_table(row.key, "days")))
        except BacktestFilesMissing as error:
            raise Problem(ProblemCode.NOT_FOUND, str(error)) from error


class BacktestCancelView(ApiView):
    """End a backtest."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "backtests_cancel",
        "Cancel a backtest",
        description="What waits ends at once; what runs is asked to end, and `cancel_asked` is true until it has.",
        body=NO_FIELDS,
        answers={200: BacktestDetailSerializer},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.ALREADY_IN_STATE],
    )
    def post(self, request: Request, backtest_id: int) -> Response:
        """Answer with the backtest."""
        fields.read_fields(body_of(request), NO_FIELDS)
        row = known_backtest(backtest_id)
        found = cancel_backtest(backtest=row, asked_by=caller_of(request).username, wall_now=wall_now())
        return Response(backtest_detail_answer(found))


def known_backtest(backtest_id: int) -> Backtest:
    """Return a backtest.

    :raises Problem: there is none
    """
    row = Backtest.objects.filter(pk=backtest_id).first()
    if row is None:
        raise Problem(ProblemCode.NOT_FOUND, f"there is no backtest {backtest_id}")
    return row


def parameters_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return what was given, as a backtest's specification reads it: research numbers are float64, dates are text."""
    given = {name: value for name, value in values.items() if value is not None}
    return {name: value.isoformat() if name in ("start", "end") else _plain(value) for name, value in given.items()}


def _found(wanted: dict[str, Any]) -> QuerySet[Backtest]:
    chosen = {name: wanted[name] for name in ("kind", "state", "strategy") if wanted[name] is not None}
    return Backtest.objects.filter(**chosen).defer("detail")


def _plain(value: Any) -> Any:
    """Turn decimals into numbers of research, whole where they were written so."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value
