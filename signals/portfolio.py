"""From scores to target weights: the best names long, the worst short, under caps. Pure and exact in Decimal.

All weights are signed fractions of the strategy's capital with 6 decimals, rounded towards zero, so rounding never
passes a cap. Where the caps contradict each other the smallest portfolio wins: a side that finds too few names leaves
its money in cash, and the other side is cut until the net cap holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)
WEIGHT_STEP = Decimal("0.000001")
MAX_GROSS = Decimal(10)
ROUNDINGS = 3
"""How often each name may be off by one step on its way: present weight, moved weight, trimming of the net."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioRules:
    """Counts of names and caps, each a fraction of the capital.

    `gross` bounds Σ|weight|, `net` bounds |Σ weight|, `per_name` each |weight|, and `turnover` bounds
    Σ|weight − present weight| of one renewal (buys and sells both count; None: no bound).
    :raises ValueError: a number is outside what is allowed; the message names it
    """

    top: int
    bottom: int = 0
    gross: Decimal = ONE
    net: Decimal = ONE
    per_name: Decimal = ONE
    turnover: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse rules that no portfolio can follow."""
        _require("top", self.top, "a whole number from 0", self.top >= 0)
        _require("bottom", self.bottom, "a whole number from 0", self.bottom >= 0)
        _require("top + bottom", self.top + self.bottom, "at least 1", self.top + self.bottom >= 1)
        _require("gross", self.gross, f"above 0 up to {MAX_GROSS}", self.gross.is_finite() and ZERO < self.gross <= 10)
        _require("net", self.net, f"0 to gross {self.gross}", self.net.is_finite() and ZERO <= self.net <= self.gross)
        fits = self.per_name.is_finite() and ZERO < self.per_name <= ONE
        _require("per_name", self.per_name, "above 0 up to 1", fits)
        moves = self.turnover is None or (self.turnover.is_finite() and self.turnover > ZERO)
        _require("turnover", self.turnover, "above 0, or None for no bound", moves)

    @property
    def as_parameters(self) -> dict[str, str | int]:
        """Return the rules as they are stored and hashed with the signals."""
        turnover = "none" if self.turnover is None else f"{self.turnover.normalize():f}"
        caps = {name: f"{getattr(self, name).normalize():f}" for name in ("gross", "net", "per_name")}
        return {"top": self.top, "bottom": self.bottom, **caps, "turnover": turnover}


def _require(name: str, value: object, allowed: str, holds: bool) -> None:
    if not holds:
        raise ValueError(f"{name}: got {value}, allowed: {allowed}")


def construct(scores: Iterable[tuple[str, float]], rules: PortfolioRules) -> dict[str, Decimal]:
    """Give each of the `top` best and `bottom` worst names one slot of gross ÷ (top + bottom); the others get none.

    Ties go by symbol: of equal scores the first in the alphabet counts as the better. A name is never on both sides.
    """
    ranked = sorted(scores, key=lambda row: (-row[1], row[0]))
    longs = [symbol for symbol, _ in ranked[: rules.top]]
    rest = ranked[len(longs) :]
    shorts = [symbol for symbol, _ in rest[max(len(rest) - rules.bottom, 0) :]] if rules.bottom else []
    slot = min(rules.gross / (rules.top + rules.bottom), rules.per_name)
    long_size, short_size = _balanced(slot, len(longs), len(shorts), rules.net)
    weights = _trimmed(dict.fromkeys(longs, long_size) | dict.fromkeys(shorts, -short_size), rules.net)
    return {symbol: weights[symbol] for symbol in sorted(weights) if weights[symbol]}


def _balanced(slot: Decimal, longs: int, shorts: int, net: Decimal) -> tuple[Decimal, Decimal]:
    """Return the size of a long and of a short, the heavier side cut until the net cap holds."""
    size = _down(slot)
    lighter = size * min(longs, shorts)
    heavier = max(longs, shorts)
    cut = min(size, _down((lighter + net) / heavier)) if heavier else size
    return (cut, size) if longs >= shorts else (size, cut)


def make_room(target: Mapping[str, Decimal], held: Iterable[Decimal], rules: PortfolioRules) -> dict[str, Decimal]:
    """Shrink a target in proportion so that with what is held outside of it the gross cap still holds.

    `held` are present weights that stay as they are, because their names have no score today.
    """
    room = max(rules.gross - sum((abs(weight) for weight in held), ZERO), ZERO)
    gross = _gross(target)
    if gross <= room:
        return dict(target)
    shrunk = {symbol: _down(weight * room / gross) for symbol, weight in target.items()}
    return _trimmed(shrunk, abs(sum(target.values(), ZERO)))


def approach(
    target: Mapping[str, Decimal], present: Mapping[str, Decimal], turnover: Decimal | None
) -> dict[str, Decimal]:
    """Move from the present weights towards the target, every name by the same share of its way.

    Σ|result − present| never passes `turnover`, and neither gross, net nor any single weight is further from zero than
    the larger of where it was and where it goes: a book that drifted out of its caps comes back in steps.
    """
    symbols = sorted({*target, *present})
    ways = {symbol: target.get(symbol, ZERO) - present.get(symbol, ZERO) for symbol in symbols}
    distance = sum((abs(way) for way in ways.values()), ZERO)
    if turnover is None or distance <= turnover:
        return {symbol: target.get(symbol, ZERO) for symbol in symbols}
    share = max(turnover - ROUNDINGS * len(symbols) * WEIGHT_STEP, ZERO) / distance
    if share == ZERO:
        return {symbol: present.get(symbol, ZERO) for symbol in symbols}
    moved = {symbol: _down(present.get(symbol, ZERO) + way * share) for symbol, way in ways.items()}
    return _trimmed(moved, max(abs(sum(target.values(), ZERO)), abs(sum(present.values(), ZERO))))


def turnover_between(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> Decimal:
    """Return Σ|after − before|, a fraction of the capital; a name that is absent has the weight 0."""
    return sum((abs(after.get(name, ZERO) - before.get(name, ZERO)) for name in {*before, *after}), ZERO)


def _trimmed(weights: dict[str, Decimal], net: Decimal) -> dict[str, Decimal]:
    """Take what rounding added to the net off the largest weights of the heavier side."""
    total = sum(weights.values(), ZERO)
    excess, side = abs(total) - net, 1 if total > ZERO else -1
    for symbol in sorted(weights, key=lambda name: (-side * weights[name], name)):
        if excess <= ZERO:
            break
        step = min(_up(excess), abs(weights[symbol]))
        weights[symbol] -= side * step
        excess -= step
    return weights


def _gross(weights: Mapping[str, Decimal]) -> Decimal:
    return sum((abs(weight) for weight in weights.values()), ZERO)


def _down(weight: Decimal) -> Decimal:
    return weight.quantize(WEIGHT_STEP, rounding=ROUND_DOWN)


def _up(weight: Decimal) -> Decimal:
    rounded = _down(weight)
    return rounded if rounded == weight else rounded + WEIGHT_STEP
