"""Derive splits and dividends from a source that gives raw and adjusted closes.

The ratio of the two is constant between ex-dates and jumps on them; the jump is the event's factor. The ratio of the
last day need not be 1: what happened after the data ends is in it, as a constant of the symbol.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import polars as pl

from marketdata.adjustment import ACTION_SCHEMA
from marketdata.errors import UnexplainedJumpError
from marketdata.types import ActionKind

JUMP = 1e-9
"""Smallest relative change of the ratio that is an event: above what rounding leaves (1e-13), below a cent a share."""
SPLIT_AT_LEAST = 0.2
"""A factor this far from 1 is a split; the largest special dividend known in the sample is 0.10."""
SNAP = 5e-4
SMALLEST_SPLIT_PART = 10
"""A split gives whole shares for at most this many old ones (a reverse split: takes); 5:4 and 11:10 exist, 9:8 too."""
DRIFT = 2.5e-5
"""How far rounded dividends may carry the rebuilt adjusted close from the source's; a quarter of what is promised."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """Derived actions (columns of ACTION_SCHEMA), and what later actions did to each symbol's adjusted close."""

    actions: pl.DataFrame
    later_factors: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Jump:
    symbol: str
    ex_date: date
    factor: float
    previous_close: float


def derive_actions(bars: pl.DataFrame) -> Derivation:
    """Read the events out of columns symbol, date, close, adj_close.

    Dividends are rounded to cents where the rebuilt adjusted close stays within DRIFT of the source's, and keep as many
    more decimals as that needs otherwise.
    :raises UnexplainedJumpError: a jump is neither a split nor a dividend
    """
    ordered = bars.sort("symbol", "date").with_columns(ratio=pl.col("adj_close") / pl.col("close"))
    rows = [row for symbol in _jumps(ordered) for row in _actions(symbol)]
    last = ordered.group_by("symbol", maintain_order=True).agg(pl.col("ratio").last())
    return Derivation(
        actions=pl.DataFrame(rows, schema=ACTION_SCHEMA, orient="row").sort("symbol", "ex_date", "kind"),
        later_factors=dict(last.iter_rows()),
    )


def _jumps(ordered: pl.DataFrame) -> Iterator[list[_Jump]]:
    """Yield each symbol's jumps, the newest first."""
    jumps = ordered.select(
        "symbol",
        "date",
        factor=pl.col("ratio").shift(1).over("symbol") / pl.col("ratio"),
        previous_close=pl.col("close").shift(1).over("symbol"),
    ).filter((pl.col("factor") - 1).abs() > JUMP)
    for _, group in jumps.sort("date", descending=True).group_by("symbol", maintain_order=True):
        yield [_Jump(*row) for row in group.iter_rows()]


def _actions(jumps: list[_Jump]) -> Iterator[tuple[object, ...]]:
    """Turn one symbol's jumps, newest first, into rows of ACTION_SCHEMA."""
    drift = 1.0
    for jump in jumps:
        if abs(jump.factor - 1) >= SPLIT_AT_LEAST:
            yield jump.symbol, ActionKind.SPLIT.value, jump.ex_date, _split_ratio(jump), None
            continue
        if jump.factor > 1:
            raise UnexplainedJumpError(f"{jump.symbol} {jump.ex_date}: factor {jump.factor:.6f} is above 1")
        cash = _rounded_cash(jump, drift)
        drift *= (1 - cash / jump.previous_close) / jump.factor
        yield jump.symbol, ActionKind.DIVIDEND.value, jump.ex_date, None, cash


def _split_ratio(jump: _Jump) -> float:
    """Return new shares for one old, as the simple fraction it must be."""
    growth = max(jump.factor, 1 / jump.factor)
    simple = Fraction(growth).limit_denominator(SMALLEST_SPLIT_PART)
    if abs(float(simple) / growth - 1) > SNAP:
        raise UnexplainedJumpError(f"{jump.symbol} {jump.ex_date}: factor {jump.factor:.6f} is no simple split")
    return float(simple) if jump.factor < 1 else float(1 / simple)


def _rounded_cash(jump: _Jump, drift: float) -> float:
    """Return the dividend (currency a share) with the fewest decimals, two at least, that keep the drift small."""
    exact = jump.previous_close * (1 - jump.factor)
    for decimals in range(2, 8):
        cash = round(exact, decimals)
        carried = drift * (1 - cash / jump.previous_close) / jump.factor
        if cash > 0 and abs(carried - 1) <= DRIFT:
            return cash
    return round(exact, 8)
