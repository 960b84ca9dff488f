"""Why a replay and a backtest of the same strategy earned differently, session by session. Pure and exact.

What a book earns in a session is the value it held at the close before times the total return, plus what its trades won
between their price and the close, less costs. So the difference of two books has a part for what they held differently,
and one each for fill prices, costs, and dividends that one received as cash and the other reinvested.

What they held differently is taken apart where the replay renews its targets, as a chain from the research book to the
desk's: another weight, another capital, the cash buffer, whole shares, the largest position, small trades left alone,
denied or unfilled orders, and the price that targets were sized at. Each link is a value a symbol; the links add up to
the difference of the holdings and drift with the symbol's return until the next renewal. What no link explains is told
as such.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from trading.targets import Outcome

ZERO = Decimal(0)
SAME_WEIGHT = Decimal("0.0000015")
"""Weights are stored with six decimals; a research weight went through binary floating point."""


class Cause(StrEnum):
    """What makes two books differ, with the words of the page."""

    SIGNAL = "signal"
    CAPITAL = "capital"
    BUFFER = "cash buffer"
    ROUNDING = "whole shares"
    CAPPED = "largest position"
    SMALL = "small trades left alone"
    DENIED = "denied orders"
    UNFILLED = "unfilled orders"
    SIZING = "price of sizing"
    FILL = "fill price"
    COSTS = "costs"
    DIVIDENDS = "dividends"
    OTHER = "other holdings"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One symbol of the replay's plan: its weight, the target in shares, the price it was sized at, what came of it."""

    weight: Decimal | None
    target: Decimal
    price: Decimal | None
    outcome: str
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The replay's plan of a session: `capital` in account currency, `buffer` the fraction kept in cash."""

    capital: Decimal
    buffer: Decimal
    wanted: Mapping[str, Wanted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The replay's session: money in account currency, shares at the close, fills as (symbol, signed shares, price)."""

    pnl: Decimal
    fees: Decimal
    dividends: Decimal
    shares: Mapping[str, Decimal]
    fills: Sequence[tuple[str, Decimal, Decimal]]
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Research:
    """The backtest's session, scaled to the replay's capital: values held at the close, by symbol.

    `weights` are what was decided at the close before (None: nothing was); `fills` what trades won until the close.
    """

    pnl: Decimal
    costs: Decimal
    equity: Decimal
    values: Mapping[str, Decimal]
    fills: Decimal = ZERO
    weights: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class Market:
    """A symbol's session: raw close, total return and price return (a split taken into account) since the close
    before."""

    close: Decimal
    total_return: Decimal
    price_return: Decimal


@dataclass(frozen=True, slots=True)
class Explained:
    """One session: both results, their difference, what explains it, and what is left."""

    day: date
    desk: Decimal
    research: Decimal
    amounts: Mapping[Cause, Decimal]
    same_weights: int | None
    """Symbols that both gave the same weight; None where the replay decided nothing."""
    other_weights: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()

    @property
    def difference(self) -> Decimal:
        """Return what the replay earned more."""
        return self.desk - self.research

    @property
    def residual(self) -> Decimal:
        """Return what no cause explains."""
        return self.difference - sum(self.amounts.values(), ZERO)


Links = dict[str, dict[Cause, Decimal]]


@dataclass(slots=True)
class _Before:
    """Both books at the close before: values by symbol, the research book's equity, and the links between them."""

    equity: Decimal
    desk: Mapping[str, Decimal] = field(default_factory=dict)
    research: Mapping[str, Decimal] = field(default_factory=dict)
    links: Links = field(default_factory=dict)


def explain(
    days: Sequence[date],
    desk: Mapping[date, Desk],
    research: Mapping[date, Research],
    market: Mapping[date, Mapping[str, Market]],
    *,
    capital: Decimal,
) -> list[Explained]:
    """Return every session explained, oldest first; both books begin with `capital` (account currency) in cash."""
    return list(_sessions(days, desk, research, market, capital))


def totals(sessions: Sequence[Explained]) -> dict[Cause, Decimal]:
    """Return the amounts of all sessions by cause."""
    return {cause: sum((one.amounts.get(cause, ZERO) for one in sessions), ZERO) for cause in Cause}


def _sessions(
    days: Sequence[date],
    desk: Mapping[date, Desk],
    research: Mapping[date, Research],
    market: Mapping[date, Mapping[str, Market]],
    capital: Decimal,
) -> Iterator[Explained]:
    before = _Before(equity=capital)
    for day in days:
        mine, theirs, prices = desk[day], research[day], market[day]
        amounts = _earned(before, mine, theirs, prices)
        values = {symbol: shares * prices[symbol].close for symbol, shares in mine.shares.items() if symbol in prices}
        links = _links(before, mine, theirs, values, prices)
        yield Explained(day, mine.pnl, theirs.pnl, amounts, *_compared(mine.plan, theirs.weights))
        before = _Before(theirs.equity, values, theirs.values, links)


def _earned(before: _Before, desk: Desk, research: Research, prices: Mapping[str, Market]) -> dict[Cause, Decimal]:
    amounts: dict[Cause, Decimal] = {}
    for symbol, links in before.links.items():
        gained = prices[symbol].total_return if symbol in prices else ZERO
        for cause, value in links.items():
            amounts[cause] = amounts.get(cause, ZERO) + value * gained
    won = sum(
        (shares * (prices[symbol].close - price) for symbol, shares, price in desk.fills if symbol in prices), ZERO
    )
    reinvested = sum(
        (
            value * (prices[symbol].total_return - prices[symbol].price_return)
            for symbol, value in before.desk.items()
            if symbol in prices
        ),
        ZERO,
    )
    amounts[Cause.FILL] = won - research.fills
    amounts[Cause.COSTS] = research.costs - desk.fees
    amounts[Cause.DIVIDENDS] = amounts.get(Cause.DIVIDENDS, ZERO) + desk.dividends - reinvested
    return {cause: amount for cause, amount in amounts.items() if amount}


def _links(
    before: _Before, desk: Desk, research: Research, values: Mapping[str, Decimal], prices: Mapping[str, Market]
) -> Links:
    """Return the links between the books at this close; those of each symbol add up to the difference of its values."""
    found: Links = {}
    for symbol in sorted({*values, *research.values, *before.links}):
        gap = values.get(symbol, ZERO) - research.values.get(symbol, ZERO)
        wanted = desk.plan.wanted.get(symbol) if desk.plan is not None else None
        if desk.plan is not None and wanted is not None and _sized(wanted) and symbol in prices:
            links = _chain(desk.plan, wanted, desk, research, before.equity, symbol, prices[symbol].close)
            rest = Cause.OTHER
        else:
            grown = 1 + (prices[symbol].total_return if symbol in prices else ZERO)
            links = {cause: value * grown for cause, value in before.links.get(symbol, {}).items()}
            rest = _cause_of_rest(desk, research, prices.get(symbol))
        missing = gap - sum(links.values(), ZERO)
        links[rest] = links.get(rest, ZERO) + missing
        kept = {cause: value for cause, value in links.items() if value}
        if kept:
            found[symbol] = kept
    return found


def _sized(wanted: Wanted) -> bool:
    return wanted.weight is not None and wanted.price is not None and wanted.price > ZERO


def _chain(
    plan: Plan, wanted: Wanted, desk: Desk, research: Research, equity: Decimal, symbol: str, close: Decimal
) -> dict[Cause, Decimal]:
    """Return the links of one symbol that the replay has planned anew, as values at the close (account currency)."""
    assert wanted.weight is not None
    assert wanted.price is not None
    grown = close / wanted.price
    held = desk.shares.get(symbol, ZERO) * close
    there = research.values.get(symbol, ZERO)
    decided = None if research.weights is None else research.weights.get(symbol)
    base = there if decided is None else decided * equity * grown
    weighed = wanted.weight * equity * grown
    sized = wanted.weight * plan.capital * grown
    target = wanted.target * close
    whole = _whole(sized * (1 - plan.buffer) / close, wanted.target) * close
    links = {
        Cause.SIZING: base - there,
        Cause.SIGNAL: weighed - base,
        Cause.CAPITAL: sized - weighed,
        Cause.BUFFER: -plan.buffer * sized,
        Cause.ROUNDING: whole - sized * (1 - plan.buffer),
        Cause.CAPPED: target - whole,
    }
    left = _left_by(wanted)
    links[left] = links.get(left, ZERO) + held - target
    return links


def _whole(shares: Decimal, target: Decimal) -> Decimal:
    """Return the shares that rounding alone leaves: the target where it is that near, else whole shares towards
    zero."""
    return target if abs(shares - target) < 1 else shares.to_integral_value(rounding=ROUND_DOWN)


def _left_by(wanted: Wanted) -> Cause:
    """Say why a position is not at its target after the session."""
    if wanted.denied:
        return Cause.DENIED
    return Cause.SMALL if wanted.outcome == Outcome.BELOW_MINIMUM else Cause.UNFILLED


def _cause_of_rest(desk: Desk, research: Research, price: Market | None) -> Cause:
    """Say what moved one book and not the other where the replay planned nothing."""
    if research.weights is not None or desk.plan is not None:
        return Cause.SIGNAL
    if price is not None and price.total_return != price.price_return:
        return Cause.DIVIDENDS
    return Cause.OTHER


def _compared(
    plan: Plan | None, weights: Mapping[str, Decimal] | None
) -> tuple[int | None, tuple[str, ...], tuple[str, ...]]:
    if plan is None:
        return None, (), ()
    denied = tuple(symbol for symbol, wanted in sorted(plan.wanted.items()) if wanted.denied)
    mine = {symbol: wanted.weight for symbol, wanted in plan.wanted.items() if wanted.weight is not None}
    theirs = weights or {}
    other = tuple(
        symbol
        for symbol in sorted({*mine, *theirs})
        if abs(mine.get(symbol, ZERO) - theirs.get(symbol, ZERO)) > SAME_WEIGHT
    )
    return len({*mine, *theirs}) - len(other), other, denied
