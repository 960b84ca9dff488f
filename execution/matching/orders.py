"""An order as the exchange works it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from execution.matching.pricing import traded_value
from risk.types import OrderType, Side, TimeInForce

ZERO = Decimal(0)
STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
AUCTION_ONLY = frozenset({TimeInForce.OPG, TimeInForce.CLS})
AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """One open order; `sequence` is its place in time, smaller came first.

    `session_date` is the session it was entered for. It takes part only in events later than `active_after`: its
    entry at first, then whatever changed it last, so that an event which is told twice finds nothing to do twice.
    `filled_notional` (account currency) and `fees` are the sums over its executions.
    """

    sequence: int
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    session_date: date
    active_after: datetime
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False
    triggered: bool = False
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO
    fees: Decimal = ZERO
    execution_count: int = 0

    @property
    def leaves_quantity(self) -> Decimal:
        """Shares still open."""
        return self.quantity - self.filled_quantity

    @property
    def awaits_trigger(self) -> bool:
        """Whether it is a stop whose price was not reached yet."""
        return self.order_type in STOPS and not self.triggered

    @property
    def limit_in_force(self) -> Decimal | None:
        """Worst price it may get; None takes the market's."""
        return self.limit_price if self.order_type in LIMITED else None

    def is_triggered_by(self, last: Decimal) -> bool:
        """Tell whether a last trade at this price reaches the stop: from below for a buy, from above for a sell."""
        if self.stop_price is None:
            return False
        return last >= self.stop_price if self.side == Side.BUY else last <= self.stop_price

    def accepts(self, price: Decimal) -> bool:
        """Tell whether the limit allows the price."""
        limit = self.limit_in_force
        if limit is None:
            return True
        return price <= limit if self.side == Side.BUY else price >= limit

    def after_trigger(self, at: datetime) -> WorkingOrder:
        """Return the order with its stop reached."""
        return replace(self, triggered=True, active_after=at)

    def after_fill(self, *, quantity: Decimal, price: Decimal, fee: Decimal, at: datetime) -> WorkingOrder:
        """Return the order with one more execution."""
        return replace(
            self,
            filled_quantity=self.filled_quantity + quantity,
            filled_notional=self.filled_notional + traded_value(quantity, price),
            fees=self.fees + fee,
            execution_count=self.execution_count + 1,
            active_after=at,
        )
