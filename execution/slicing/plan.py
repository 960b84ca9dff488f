"""Spread a quantity over a window: how many shares in which slice, and when each is due.

TWAP gives every part of the window the same, VWAP what the volume curve gives it. What does not divide evenly is given
to slices that the seed chooses, and within its part of the window each slice is due at a moment that the seed chooses
(in the first half, so that no two are closer than half a part): nobody can predict it, everybody can repeat it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise

from execution.errors import PlanRefused
from execution.slicing.curve import Session, VolumeCurve
from execution.slicing.draws import Draws
from execution.slicing.states import Algo

ZERO, ONE = Decimal(0), Decimal(1)
SECOND = timedelta(seconds=1)
SHORTEST_PART = timedelta(minutes=1)
BEFORE_CLOSE = timedelta(minutes=1)
MOST_SLICES = 120
CATCH_UP = 2
"""A slice that takes over what others could not trade is at most this many times what it was planned to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be spread; `average_daily_volume` in shares, `max_participation` a part of the expected volume."""

    algo: Algo
    quantity: Decimal
    lot_size: Decimal
    slices: int
    seed: int
    max_participation: Decimal
    average_daily_volume: Decimal | None


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when slices may be due, market time; `shortened` when the session left less than was asked for."""

    starts_at: datetime
    ends_at: datetime
    shortened: bool = False

    def cut(self, count: int) -> list[datetime]:
        """Return the bounds of that many equal parts, one more than parts, in whole seconds."""
        whole = (self.ends_at - self.starts_at) // SECOND
        return [self.starts_at + SECOND * (whole * number // count) for number in range(count + 1)]


@dataclass(frozen=True, slots=True)
class PlannedSlice:
    """One slice; `max_quantity` is the most that it may ever become when it takes over what others have left."""

    number: int
    due_at: datetime
    quantity: Decimal
    max_quantity: Decimal


def window_of(*, at: datetime, duration: timedelta, session: Session, quiet: timedelta) -> Window:
    """Return the window of a parent that is wanted now: from now, or from the open of the session that is to come.

    `quiet` are the minutes after the open and before the close in which its orders would be refused. No slice is due
    in the last minute before the close. What would reach beyond is shortened.
    :raises PlanRefused: less than a minute of the session is left
    """
    starts = max(at, session.opens_at + quiet).replace(microsecond=0)
    if starts < at:
        starts += SECOND
    latest = session.closes_at - max(quiet, BEFORE_CLOSE)
    if latest - starts < SHORTEST_PART:
        raise PlanRefused(
            "duration_minutes",
            f"the session closes at {session.closes_at:%Y-%m-%d %H:%M} UTC and slices are due until {latest:%H:%M}: "
            "less than a minute is left",
        )
    return Window(starts, min(starts + duration, latest), shortened=starts + duration > latest)


def plan_slices(wish: Wish, window: Window, session: Session, curve: VolumeCurve) -> list[PlannedSlice]:
    """Return the slices: they sum to the quantity exactly, are due inside the window and in order.

    There are fewer than wished when the window has not a minute for each, or the quantity not a lot for each. What the
    quantity has besides whole lots is in the last one.
    :raises PlanRefused: no lot at all, or the quantity is more than may take part in the expected volume
    """
    lots = int((wish.quantity / wish.lot_size).to_integral_value(ROUND_FLOOR))
    odd = wish.quantity - lots * wish.lot_size
    if lots < 1:
        raise PlanRefused(
            "quantity", f"{wish.quantity.normalize():f}: at least one lot ({wish.lot_size.normalize():f})"
        )
    count = min(wish.slices, lots, max((window.ends_at - window.starts_at) // SHORTEST_PART, 1))
    bounds = window.cut(count)
    shares = [curve.between(session.part(first), session.part(last)) for first, last in pairwise(bounds)]
    weights = [ONE] * count if wish.algo == Algo.TWAP or not sum(shares) else shares
    parts = apportion(lots - count, weights, Draws(wish.seed, "lots"))
    quantities = [(part + 1) * wish.lot_size for part in parts]
    quantities[-1] += odd
    caps = _caps(wish, quantities, shares, bounds)
    jitter = Draws(wish.seed, "times")
    return [
        PlannedSlice(
            number=index + 1,
            due_at=bounds[index] + SECOND * jitter.below(max((bounds[index + 1] - bounds[index]) // SECOND // 2, 1)),
            quantity=quantity,
            max_quantity=max(min(quantity * CATCH_UP, cap), quantity),
        )
        for index, (quantity, cap) in enumerate(zip(quantities, caps, strict=True))
    ]


def apportion(lots: int, weights: Sequence[Decimal], draws: Draws) -> list[int]:
    """Spread whole lots by weight; those that do not divide go one by one to places that the draws choose."""
    total = sum(weights, ZERO)
    parts = [int((lots * weight / total).to_integral_value(ROUND_FLOOR)) for weight in weights]
    while (left := lots - sum(parts)) > 0:  # once, but for roundings of the weights
        for place in draws.some_of([index for index, weight in enumerate(weights) if weight > 0], left):
            parts[place] += 1
    return parts


def _caps(
    wish: Wish, quantities: Sequence[Decimal], shares: Sequence[Decimal], bounds: Sequence[datetime]
) -> list[Decimal]:
    """Return the most that may take part in each slice's part of the expected volume, in whole lots.

    :raises PlanRefused: the volume is not known, or a slice is more than that
    """
    volume, part = wish.average_daily_volume, wish.max_participation
    if volume is None or volume <= 0:
        raise PlanRefused("symbol", "its average daily volume is not known, so no part of it can be kept to")
    if wish.quantity > volume * part:
        raise PlanRefused("quantity", _too_much("the order", wish.quantity, volume, part, "a day"))
    caps = [_whole_lots(volume * share * part, wish.lot_size) for share in shares]
    for quantity, cap, share, first in zip(quantities, caps, shares, bounds, strict=False):
        if quantity > cap:
            what = f"the slice of {first:%H:%M} UTC"
            raise PlanRefused("quantity", _too_much(what, quantity, volume * share, part, "its part of the window"))
    return caps


def _too_much(what: str, quantity: Decimal, volume: Decimal, part: Decimal, of: str) -> str:
    allowed = (volume * part).to_integral_value(ROUND_FLOOR)
    return (
        f"{what} has {quantity.normalize():f} shares; {of} is expected to trade {volume:.0f} and "
        f"{(part * 100).normalize():f}% of that is allowed: {allowed:f}. A longer window or a smaller quantity would do"
    )


def _whole_lots(quantity: Decimal, lot_size: Decimal) -> Decimal:
    return (quantity / lot_size).to_integral_value(ROUND_FLOOR) * lot_size
