"""The loop over sessions: one row of target weights at a time, each traded on a later close than the one it knows.

Lookahead is impossible by construction. What is traded at session t is `weights[t - delay]` with `delay >= 1`;
everything else the loop reads lies in row t or before it (prices of t, liquidity known the evening before), and it
writes row t only. So nothing after t can change row t, which a test shows by shuffling what comes after.

The loop runs over days, not over names: a day is a handful of vector operations on `(n_symbols,)`, so time grows
linearly with days and, once the vectors are longer than their overhead, with names.
"""

from dataclasses import dataclass, field

import numpy as np

from signals.backtest.panel import BoolArray, FloatArray, Panel, carried_forward
from signals.backtest.rules import BASIS_POINT, DAYS_A_YEAR, Liquidity, Rules
from signals.errors import BacktestInputError
from signals.progress import Progress

TOLD_EVERY = 256
"""Sessions between two tellings of progress."""


@dataclass(slots=True)
class Trace:
    """What happened, row by row; amounts in account currency, `(n_days,)` or `(n_days, n_symbols)`.

    `holdings` are shares after the session's trades. `cash` and `equity` are after trades and costs, at the close.
    """

    holdings: FloatArray
    marks: FloatArray
    fills: FloatArray
    cash: FloatArray
    equity: FloatArray
    commission: FloatArray
    spread: FloatArray
    impact: FloatArray
    borrow: FloatArray
    impact_by_order: FloatArray | None
    unpriced: FloatArray
    """Notional that was traded without an estimate of its impact, because nothing was known of the name."""
    settled: BoolArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.bool_))

    @property
    def costs(self) -> FloatArray:
        """Return everything paid a session, stock loan included."""
        return self.commission + self.spread + self.impact + self.borrow


@dataclass(slots=True)
class _Book:
    """What the loop carries from one session to the next."""

    cash: float
    shares: FloatArray
    pending: int = -1
    """Row of weights whose orders were cut by the participation limit; -1: none."""


def simulate(
    panel: Panel,
    weights: FloatArray,
    rules: Rules,
    *,
    fills: FloatArray | None = None,
    liquidity: Liquidity | None = None,
    progress: Progress | None = None,
) -> Trace:
    """Trade rows of target weights, `(n_days, n_symbols)`, each decided at the close of its own row.

    A weight of NaN leaves a name as it is, a row of NaN everything. Trades happen at `fills` (default: the closes) and
    the book is marked at the closes; a name without a price keeps its shares and its last price.
    :raises BacktestInputError: shapes differ, or costs need liquidity that is not given
    :raises Cancelled: the caller's progress says so
    """
    run = _Run(panel, weights, rules, panel.prices if fills is None else fills, liquidity)
    total = len(panel.dates)
    for start in range(0, total, TOLD_EVERY):
        if progress is not None:
            progress(start, total, f"trading {panel.dates[start].isoformat()}")
        for day in range(start, min(start + TOLD_EVERY, total)):
            run.session(day)
    if progress is not None:
        progress(total, total, "traded")
    return run.trace


class _Run:
    """One simulation: matrices made ready once, then a session at a time."""

    def __init__(
        self, panel: Panel, weights: FloatArray, rules: Rules, fills: FloatArray, liquidity: Liquidity | None
    ) -> None:
        shape = panel.prices.shape
        if weights.shape != shape or fills.shape != shape:
            raise BacktestInputError("weights", f"{weights.shape} and fills {fills.shape}", f"{shape}, as the prices")
        if liquidity is None and (rules.costs.impact or rules.max_participation is not None):
            raise BacktestInputError("liquidity", "nothing", "average volumes, for impact and participation")
        self.rules, self.liquidity = rules, liquidity
        self.fixed_rate = rules.costs.rate
        self.active: BoolArray = np.asarray(~np.isnan(weights).all(axis=1))
        self.weights = weights
        self.units, self.frozen = _units(weights, fills, rules)
        self.hampered: BoolArray = np.asarray(self.frozen.any(axis=1))
        marks = carried_forward(panel.prices)
        self.at_fill = marks if fills is panel.prices else _values_at(fills, marks)
        self.elapsed = np.diff([day.toordinal() for day in panel.dates], prepend=panel.dates[0].toordinal())
        self.stale = _missing_in_a_row(panel.prices) if rules.settle_after is not None else None
        self.book = _Book(cash=rules.capital, shares=np.zeros(shape[1]))
        self.trace = _empty_trace(shape, marks, fills, impact=bool(rules.costs.impact))
        if self.stale is not None:
            self.trace.settled = np.zeros(shape, dtype=np.bool_)

    def session(self, day: int) -> None:
        """Pay for what was borrowed, settle what is gone, trade what was decided, mark."""
        book, trace = self.book, self.trace
        if self.rules.costs.borrow_bps and day:
            self._pay_borrow(day)
        if self.stale is not None:
            self._settle(day)
        row = day - self.rules.delay
        if row >= 0 and self.active[row]:
            self._trade(day, row, self.units[day], self.frozen[day] if self.hampered[day] else None)
        elif book.pending >= 0:
            units, frozen = _unit_row(self.weights[book.pending], trace.fills[day], self.rules)
            self._trade(day, book.pending, units, frozen)
        trace.holdings[day] = book.shares
        trace.cash[day] = book.cash
        trace.equity[day] = book.cash + book.shares @ trace.marks[day]

    def _trade(self, day: int, row: int, units: FloatArray, frozen: BoolArray | None) -> None:
        book, price = self.book, self.at_fill[day]
        equity = book.cash + book.shares @ price
        target = units * max(equity, 0.0)
        if frozen is not None:
            target = np.where(frozen, book.shares, target)
        if self.rules.max_participation is not None:
            target = self._within_volume(day, row, target, price)
        traded = target - book.shares
        value = traded * price
        notional = np.abs(value)
        turnover = float(notional.sum())
        paid = turnover * self.fixed_rate
        self.trace.commission[day] = turnover * self.rules.costs.commission_bps * BASIS_POINT
        self.trace.spread[day] = turnover * self.rules.costs.half_spread_bps * BASIS_POINT
        if self.rules.costs.impact:
            paid += self._impact(day, notional)
        book.cash -= float(value.sum()) + paid
        book.shares = target

    def _within_volume(self, day: int, row: int, target: FloatArray, price: FloatArray) -> FloatArray:
        """Cut orders to the allowed share of the usual volume; without one known, nothing is traded."""
        assert self.liquidity is not None
        assert self.rules.max_participation is not None
        allowed = np.nan_to_num(self.liquidity.volume[day]) * self.rules.max_participation
        most = np.divide(allowed, price, out=np.zeros_like(price), where=price > 0)
        wanted = target - self.book.shares
        traded = np.clip(wanted, -most, most)
        cut = bool((np.abs(traded) < np.abs(wanted)).any())
        self.book.pending = row if cut else -1
        return np.where(traded == wanted, target, self.book.shares + traded)

    def _impact(self, day: int, notional: FloatArray) -> float:
        assert self.liquidity is not None
        costs = self.liquidity.impact(day, notional, self.rules.costs.impact)
        unknown = np.isnan(costs)
        self.trace.unpriced[day] = notional[unknown].sum()
        costs[unknown] = 0.0
        self.trace.impact[day] = costs.sum()
        assert self.trace.impact_by_order is not None
        self.trace.impact_by_order[day] = costs
        return float(self.trace.impact[day])

    def _pay_borrow(self, day: int) -> None:
        short = -np.minimum(self.book.shares, 0.0) @ self.trace.marks[day - 1]
        rate = self.rules.costs.borrow_bps * BASIS_POINT * self.elapsed[day] / DAYS_A_YEAR
        self.trace.borrow[day] = short * rate
        self.book.cash -= float(self.trace.borrow[day])

    def _settle(self, day: int) -> None:
        assert self.stale is not None
        gone = (self.stale[day] == self.rules.settle_after) & (self.book.shares != 0.0)
        if gone.any():
            worth = self.trace.marks[day] * (1.0 + self.rules.delisting_return)
            self.book.cash += float((self.book.shares * worth)[gone].sum())
            self.book.shares = np.where(gone, 0.0, self.book.shares)
            self.trace.settled[day] = gone


def _units(weights: FloatArray, fills: FloatArray, rules: Rules) -> tuple[FloatArray, BoolArray]:
    """Return shares per unit of equity for each session, and which names keep their shares, both by trading row."""
    units, frozen = np.zeros_like(fills), np.ones(fills.shape, dtype=np.bool_)
    if len(fills) > rules.delay:
        units[rules.delay :], frozen[rules.delay :] = _unit_row(weights[: -rules.delay], fills[rules.delay :], rules)
    return units, frozen


def _unit_row(weights: FloatArray, fills: FloatArray, rules: Rules) -> tuple[FloatArray, BoolArray]:
    units = weights / fills if rules.invested == 1.0 else weights * rules.invested / fills
    frozen = np.isnan(units)
    return np.where(frozen, 0.0, units), frozen


def _values_at(fills: FloatArray, marks: FloatArray) -> FloatArray:
    """Return what a share is worth when the session trades: its fill price, else the last close."""
    before = np.vstack([np.zeros((1, marks.shape[1])), marks[:-1]])
    return np.where(np.isnan(fills), before, fills)


def _missing_in_a_row(prices: FloatArray) -> FloatArray:
    """Count for each cell the sessions without a price up to and including it; 0 where there is one."""
    missing = np.isnan(prices)
    rows = np.arange(1, len(prices) + 1, dtype=float)[:, None]
    last = np.maximum.accumulate(np.where(missing, 0.0, rows), axis=0)
    counted: FloatArray = np.where(last > 0, rows - last, 0.0)
    return counted


def _empty_trace(shape: tuple[int, int], marks: FloatArray, fills: FloatArray, *, impact: bool) -> Trace:
    days = shape[0]
    return Trace(
        holdings=np.empty(shape),
        marks=marks,
        fills=fills,
        cash=np.empty(days),
        equity=np.empty(days),
        commission=np.zeros(days),
        spread=np.zeros(days),
        impact=np.zeros(days),
        borrow=np.zeros(days),
        impact_by_order=np.zeros(shape) if impact else None,
        unpriced=np.zeros(days),
    )
