"""The next order that brings what has passed a limit back under it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from risk.exposure.lines import HeldLine, value
from risk.exposure.passed import Passed, up_to_lot
from risk.types import Side


@dataclass(frozen=True, slots=True)
class Reduction:
    """One order to be asked for: it brings one line nearer to flat and never through it."""

    passed: Passed
    strategy: str
    symbol: str
    side: Side
    quantity: Decimal


def next_reduction(passed: Passed, lines: Sequence[HeldLine]) -> Reduction | None:
    """Return the order for the largest line that counts, None when nothing is left that could be asked for.

    Of a name: the largest line on the side that is too large. Of the book: the largest line, for net exposure the
    largest on the side that is too large; for too many names the smallest, whole.
    """
    open_to = [line for line in lines if line.quantity and line.reducible > 0 and _counts(passed, line)]
    sign = _too_large(passed, lines)
    candidates = [line for line in open_to if not sign or line.quantity * sign > 0]
    if not candidates:
        return None
    ordered = sorted(candidates, key=lambda line: (abs(line.value), line.symbol, line.strategy))
    line = ordered[0] if passed.limit_name == "max_names" else ordered[-1]
    quantity = min(_wanted(passed, line), line.reducible)
    if quantity <= 0:
        return None
    side = Side.SELL if line.quantity > 0 else Side.BUY
    return Reduction(passed, line.strategy, line.symbol, side, quantity)


def _counts(passed: Passed, line: HeldLine) -> bool:
    return passed.symbol in ("", line.symbol) and passed.strategy in ("", line.strategy)


def _too_large(passed: Passed, lines: Sequence[HeldLine]) -> int:
    """Return the sign of the side that is too large, 0 where both sides count alike."""
    if not passed.symbol and passed.limit_name != "max_net_notional":
        return 0
    return 1 if value([line for line in lines if _counts(passed, line)]) > 0 else -1


def _wanted(passed: Passed, line: HeldLine) -> Decimal:
    if passed.limit_name == "max_names":
        return abs(line.quantity)
    if passed.symbol:
        return passed.shed
    return up_to_lot(passed.shed / line.mark, line.lot_size) if line.mark > 0 else abs(line.quantity)
