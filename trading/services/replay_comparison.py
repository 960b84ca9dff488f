"""Read a replay and a backtest of the same strategy from what is stored, and explain their difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl

from execution.models import AccountDay, Fill, StrategyDay
from marketdata import calendar
from marketdata.selectors import bars, corporate_actions_frame
from marketdata.types import ActionKind
from risk.types import Side
from signals.backtest.files import read_table
from signals.models import Backtest
from trading.models import ReplayRun, Run
from trading.replay_difference import Desk, Explained, Market, Plan, Research, Wanted, explain
from trading.states import RUN_OVER, ReplayState, StepName

ZERO, ONE = Decimal(0), Decimal(1)
DIGITS = Decimal("1e-12")
SEARCHED = 200
"""Replays that are looked through for comparable ones, newest first."""
COSTS = ("commission", "spread", "impact", "borrow")


class NotComparableError(Exception):
    """A replay and a backtest have no session or no strategy in common."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A replay beside a backtest over the sessions they share; `capital` is the strategy's part of the replay's."""

    replay: ReplayRun
    backtest: Backtest
    capital: Decimal
    sessions: list[Explained]


def comparable_replays(backtest: Backtest, most: int = 20) -> list[ReplayRun]:
    """Return the newest completed replays of the same strategy that begin on the backtest's first session."""
    found = ReplayRun.objects.select_related("account").filter(
        state=ReplayState.COMPLETED, parameters__strategies__contains=[backtest.strategy]
    )
    first = _first_session(backtest.start_date)
    return [row for row in found.order_by("-id")[:SEARCHED] if _first_session(row.start_date) == first][:most]


def compare_with_replay(backtest: Backtest, replay: ReplayRun) -> Comparison:
    """Explain the difference session by session. A few queries and three files.

    The explanation begins with two books in cash, so both must begin on the same session; who ends first ends it.
    :raises NotComparableError: they did not trade the same strategy from the same session
    :raises BacktestFilesMissing: the rows of the backtest are gone
    """
    strategies = replay.parameters["strategies"]
    if backtest.strategy not in strategies:
        raise NotComparableError(f"{replay.account.name} traded {', '.join(strategies)}, not {backtest.strategy}")
    capital = Decimal(replay.parameters["capital"]) / len(strategies)
    stored = read_table(backtest.key, "days")
    theirs: list[date] = stored["date"].to_list()
    closed = set(AccountDay.objects.filter(account=replay.account).values_list("date", flat=True))
    days = [day for day in theirs if day in closed]
    if not days or days[0] != theirs[0] or days[0] != min(closed):
        raise NotComparableError(
            f"{replay.account.name} begins on {replay.start_date}, backtest {backtest.pk} trades from {theirs[0]};"
            " only two that begin on the same session can be explained"
        )
    market = _market(sorted(_symbols(backtest, replay)), days)
    desk = _desk(replay, backtest.strategy, days, market)
    research = _research(backtest, stored, days, market, capital)
    sessions = explain(days, desk, research, market.by_day, capital=capital)
    return Comparison(replay, backtest, capital, sessions)


def _first_session(day: date) -> date:
    return calendar.next_session(day - timedelta(days=1))


@dataclass(frozen=True, slots=True)
class _Prices:
    """Market facts by session, adjusted closes, and split ratios by session and symbol."""

    by_day: Mapping[date, Mapping[str, Market]]
    adjusted: Mapping[tuple[date, str], Decimal]
    ratios: Mapping[tuple[date, str], Decimal]


def _symbols(backtest: Backtest, replay: ReplayRun) -> set[str]:
    traded = read_table(backtest.key, "orders")["symbol"].unique().to_list()
    return {*traded, *replay.parameters["symbols"]}


def _market(symbols: Sequence[str], days: Sequence[date]) -> _Prices:
    raw = _closes(bars(symbols, end=days[-1]))
    adjusted = _closes(bars(symbols, end=days[-1], adjustment="total_return"))
    splits = corporate_actions_frame(symbols).filter(pl.col("kind") == ActionKind.SPLIT.value)
    ratios = {(day, symbol): _exact(ratio) for symbol, day, ratio in splits.select("symbol", "ex_date", "ratio").rows()}
    by_day: dict[date, dict[str, Market]] = {day: {} for day in days}
    wanted = set(days)
    for symbol in symbols:
        path = sorted(day for day, name in raw if name == symbol)
        for before, day in pairwise(path):
            if day in wanted:
                ratio = ratios.get((day, symbol), ONE)
                price = raw[day, symbol] * ratio / raw[before, symbol] - 1
                total = adjusted[day, symbol] / adjusted[before, symbol] - 1
                # The same number where nothing was paid: adjusting rounds in the last binary digit.
                total = price if abs(total - price) < DIGITS else total
                by_day[day][symbol] = Market(raw[day, symbol], total, price)
    return _Prices(by_day, adjusted, ratios)


def _closes(frame: pl.DataFrame) -> dict[tuple[date, str], Decimal]:
    return {(day, symbol): _exact(close) for day, symbol, close in frame.select("date", "symbol", "close").rows()}


def _desk(replay: ReplayRun, strategy: str, days: Sequence[date], market: _Prices) -> dict[date, Desk]:
    """Return the replay's sessions, positions followed from its fills and splits."""
    results = StrategyDay.objects.filter(account=replay.account, strategy__name=strategy)
    rows = {row.date: row for row in results}
    fills: dict[date, list[tuple[str, Decimal, Decimal]]] = {}
    found = Fill.objects.filter(account=replay.account, strategy__name=strategy).select_related("instrument")
    for fill in found.order_by("id"):
        signed = fill.quantity if fill.side == Side.BUY else -fill.quantity
        fills.setdefault(fill.trading_date, []).append((fill.instrument.symbol, signed, fill.price))
    plans = _plans(replay, strategy)
    shares: dict[str, Decimal] = {}
    sessions = {}
    for day in days:
        shares = {symbol: held * market.ratios.get((day, symbol), ONE) for symbol, held in shares.items()}
        for symbol, signed, _ in fills.get(day, []):
            shares[symbol] = shares.get(symbol, ZERO) + signed
        row = rows.get(day)
        sessions[day] = Desk(
            pnl=ZERO if row is None else row.pnl,
            fees=ZERO if row is None else row.fees,
            dividends=ZERO if row is None else row.dividends,
            shares={symbol: held for symbol, held in shares.items() if held},
            fills=fills.get(day, []),
            plan=plans.get(day),
        )
    return sessions


def _plans(replay: ReplayRun, strategy: str) -> dict[date, Plan]:
    runs = Run.objects.filter(account=replay.account, strategy__name=strategy, state__in=RUN_OVER)
    found = {}
    for run in runs.prefetch_related("steps"):
        outputs = {step.name: step.output for step in run.steps.all()}
        if StepName.TARGETS in outputs:
            found[run.trading_date] = _plan(run, outputs)
    return found


def _plan(run: Run, outputs: Mapping[str, Any]) -> Plan:
    planned = outputs[StepName.TARGETS]
    sent = outputs.get(StepName.BATCH, {}).get("orders", [])
    denied = {order["symbol"] for order in sent if order["denials"]}
    wanted = {
        target["symbol"]: Wanted(
            _number(target["weight"]),
            Decimal(target["target"]),
            _number(target["price"]),
            target["outcome"],
            target["symbol"] in denied,
        )
        for target in planned["targets"]
    }
    return Plan(Decimal(planned["capital"]), Decimal(run.sizing["cash_buffer"]), wanted)


def _research(
    backtest: Backtest, stored: pl.DataFrame, days: Sequence[date], market: _Prices, capital: Decimal
) -> dict[date, Research]:
    """Return the backtest's sessions, scaled to the capital."""
    whole = _exact(backtest.parameters["capital"])
    scale = capital / whole
    orders: dict[date, list[tuple[str, Decimal, Decimal]]] = {}
    traded = read_table(backtest.key, "orders").select("date", "symbol", "quantity", "price")
    for day, symbol, quantity, price in traded.rows():
        orders.setdefault(day, []).append((symbol, _exact(quantity) * scale, _exact(price)))
    decided = _decided(backtest, stored["date"].to_list())
    shares: dict[str, Decimal] = {}
    last: dict[str, Decimal] = {}
    equity, sessions = capital, {}
    wanted = set(days)
    for row in stored.iter_rows(named=True):
        day = row["date"]
        won = ZERO
        last |= {symbol: market.adjusted[day, symbol] for symbol in market.by_day.get(day, {})}
        for symbol, quantity, price in orders.get(day, []):
            shares[symbol] = shares.get(symbol, ZERO) + quantity
            won += quantity * (last.get(symbol, price) - price)
        now = _exact(row["equity"]) * scale
        if day in wanted:
            sessions[day] = Research(
                pnl=now - equity,
                costs=sum((_exact(row[name]) for name in COSTS), ZERO) * scale,
                equity=now,
                values={symbol: held * last[symbol] for symbol, held in shares.items() if held and symbol in last},
                fills=won,
                weights=decided.get(day),
            )
        equity = now
    return sessions


def _decided(backtest: Backtest, days: Sequence[date]) -> dict[date, dict[str, Decimal]]:
    """Return the weights by the session on which they are traded."""
    delay = int(backtest.parameters["delay"])
    frame = read_table(backtest.key, "decisions")
    known = [*sorted({day for day in frame["date"].to_list() if day < days[0]})[-1:], *days]
    traded = {day: known[at + delay] for at, day in enumerate(known) if at + delay < len(known)}
    found: dict[date, dict[str, Decimal]] = {}
    for day, symbol, weight in frame.select("date", "symbol", "weight").rows():
        if day in traded:
            found.setdefault(traded[day], {})[symbol] = _exact(weight)
    return found


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _exact(value: Any) -> Decimal:
    """Return the shortest decimal that is the same binary number."""
    return Decimal(repr(value))
