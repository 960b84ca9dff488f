"""Which open orders would carry the book past a limit that was lowered under them. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from risk.exposure.lines import ZERO, HeldLine
from risk.exposure.passed import Passed, passed_limits, worsening
from risk.limits import LimitBook


def overcommitted(lines: Sequence[HeldLine], limits: LimitBook) -> set[tuple[str, str, int]]:
    """Return strategy, symbol and direction of the open orders that have to go after a change of limits.

    What is held may be within its limits and what is open not: the book is judged as if all buys had filled, as if all
    sales had, and at its worst. Orders that only reduce stay.
    """
    passed = [
        one
        for projection in (_filled(lines, 1), _filled(lines, -1), [_worst(line) for line in lines])
        for one in passed_limits(projection, limits)
    ]
    return to_cancel(passed, lines)


def to_cancel(passed: Sequence[Passed], lines: Sequence[HeldLine]) -> set[tuple[str, str, int]]:
    """Return strategy, symbol and direction of the open orders that make worse what is passed."""
    return {
        (line.strategy, line.symbol, sign)
        for line in lines
        for sign, is_open in ((1, line.open_buy_quantity), (-1, line.open_sell_quantity))
        if is_open > 0 and worsening(passed, line, sign)
    }


def _filled(lines: Sequence[HeldLine], sign: int) -> list[HeldLine]:
    return [replace(line, quantity=_after(line, sign)) for line in lines]


def _after(line: HeldLine, sign: int) -> Decimal:
    return line.quantity + (line.open_buy_quantity if sign > 0 else -line.open_sell_quantity)


def _worst(line: HeldLine) -> HeldLine:
    worst = max((line.quantity, _after(line, 1), _after(line, -1)), key=abs, default=ZERO)
    return replace(line, quantity=worst)
