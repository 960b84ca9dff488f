"""Limits that what is held has passed: the market moved, or somebody lowered them.

The gate counts open orders as if they had filled; here only what is held counts, because that is what has to go. A
limit binds the account (all strategies together) and each strategy alone, as in the gate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from risk.exposure.lines import ZERO, HeldLine, by_symbol, shares, value
from risk.limits import LimitBook
from risk.types import LimitValues

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Passed:
    """One limit that is passed: by how much, and what has to go (`shed`: shares of the name, names, or currency).

    An empty symbol means the whole book, an empty strategy all of them together.
    """

    limit_name: str
    symbol: str
    strategy: str
    allowed: Decimal
    observed: Decimal
    shed: Decimal

    @property
    def path(self) -> str:
        """Say what has to go, for people."""
        if self.limit_name == "max_names":
            return f"close {self.shed:f} {'name' if self.shed == 1 else 'names'}"
        if self.symbol:
            return f"{self.shed.normalize():f} shares of {self.symbol} have to go"
        return f"{self.shed.quantize(CENT, ROUND_CEILING):f} of exposure has to go"


def passed_limits(lines: Sequence[HeldLine], limits: LimitBook) -> list[Passed]:
    """Return every limit on holdings that is passed, those of single names first."""
    held = [line for line in lines if line.quantity]
    strategies = sorted({line.strategy for line in held})
    found = [passed for symbol, own in by_symbol(held).items() for passed in _of_name(symbol, own, limits)]
    found += _of_book("", held, limits.resolve(strategy="", symbol="").account)
    for strategy in strategies:
        own = [line for line in held if line.strategy == strategy]
        found += _of_book(strategy, own, limits.resolve(strategy=strategy, symbol="").strategy)
    return found


def worsening(passed: Sequence[Passed], line: HeldLine, sign: int) -> bool:
    """Tell whether an order of that direction (+1 buys) in that line would make something that is passed worse."""
    if line.quantity * sign < 0:
        return False
    for one in passed:
        if one.strategy not in ("", line.strategy):
            continue
        if one.limit_name == "max_names":
            if not line.quantity:
                return True
        elif one.symbol in ("", line.symbol):
            return True
    return False


def _of_name(symbol: str, lines: Sequence[HeldLine], limits: LimitBook) -> Iterator[Passed]:
    account = limits.resolve(strategy="", symbol=symbol).account
    yield from _shares_and_value(symbol, "", lines, account)
    for line in lines:
        own = limits.resolve(strategy=line.strategy, symbol=symbol).strategy
        yield from _shares_and_value(symbol, line.strategy, [line], own)


def _shares_and_value(symbol: str, strategy: str, lines: Sequence[HeldLine], limits: LimitValues) -> Iterator[Passed]:
    held, worth, lot = abs(shares(lines)), abs(value(lines)), lines[0].lot_size
    if held > limits.max_position_quantity:
        allowed = limits.max_position_quantity
        yield Passed("max_position_quantity", symbol, strategy, allowed, held, up_to_lot(held - allowed, lot))
    if worth > limits.max_position_notional:
        allowed = limits.max_position_notional
        too_many = up_to_lot((worth - allowed) / lines[0].mark, lot) if lines[0].mark > 0 else held
        yield Passed("max_position_notional", symbol, strategy, allowed, worth, min(too_many, held))


def _of_book(strategy: str, lines: Sequence[HeldLine], limits: LimitValues) -> Iterator[Passed]:
    gross = sum((abs(line.value) for line in lines), ZERO)
    net = abs(value(lines))
    names = Decimal(len({line.symbol for line in lines}))
    for name, observed in (("max_gross_notional", gross), ("max_net_notional", net), ("max_names", names)):
        allowed: Decimal = getattr(limits, name)
        if observed > allowed:
            yield Passed(name, "", strategy, allowed, observed, observed - allowed)


def up_to_lot(quantity: Decimal, lot: Decimal) -> Decimal:
    """Round shares up to whole lots."""
    return (quantity / lot).to_integral_value(ROUND_CEILING) * lot if lot > 0 else quantity
