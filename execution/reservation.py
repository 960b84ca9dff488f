"""What an open order holds of the limits: a pure function of the order, so that a release is exact.

A position row keeps the sum over its open orders. Every change of an order moves the row by the difference between the
order's reservation after and before.
"""

from dataclasses import dataclass
from decimal import Decimal

from execution.ledger import rounded
from execution.models import Order, Position
from execution.models.orders import LegRole, OrderClass
from execution.states import OrderStatus
from risk.types import Side

ZERO = Decimal(0)
HOLDS_NOTHING = frozenset({OrderStatus.HELD, OrderStatus.PENDING_REPLACE})


@dataclass(frozen=True, slots=True)
class Reservation:
    """Shares, account currency, and orders; never negative for one order, any sign for a difference."""

    buy_quantity: Decimal = ZERO
    sell_quantity: Decimal = ZERO
    buy_notional: Decimal = ZERO
    sell_notional: Decimal = ZERO
    loss: Decimal = ZERO
    orders: int = 0

    def minus(self, other: "Reservation") -> "Reservation":
        """Return the difference."""
        return Reservation(
            self.buy_quantity - other.buy_quantity,
            self.sell_quantity - other.sell_quantity,
            self.buy_notional - other.buy_notional,
            self.sell_notional - other.sell_notional,
            self.loss - other.loss,
            self.orders - other.orders,
        )


def reserve(*, side: str, leaves: Decimal, price: Decimal, loss_per_share: Decimal) -> Reservation:
    """Return what `leaves` open shares hold at a reserve price."""
    notional, loss = rounded(leaves * price), rounded(leaves * loss_per_share)
    if side == Side.BUY:
        return Reservation(buy_quantity=leaves, buy_notional=notional, loss=loss, orders=1)
    return Reservation(sell_quantity=leaves, sell_notional=notional, loss=loss, orders=1)


def reservation_of(order: Order) -> Reservation:
    """Return what the order holds now; nothing once it is over, and nothing where another order holds for it.

    A held leg cannot trade yet; of two legs one cancels the other, so the take profit holds for both; an original whose
    replacement is open is covered by its successor, whose cover says for how many shares.
    """
    if order.status in HOLDS_NOTHING or not order.is_open or _sibling_holds(order):
        return Reservation()
    return reserve(
        side=order.side,
        leaves=order.leaves_quantity if order.cover_quantity is None else order.cover_quantity,
        price=order.reserve_price,
        loss_per_share=order.loss_per_share,
    )


def _sibling_holds(order: Order) -> bool:
    return order.leg_role == LegRole.STOP_LOSS and order.order_class in (OrderClass.BRACKET, OrderClass.OCO)


def apply(position: Position, change: Reservation) -> None:
    """Move the position row's sums by a difference (in memory; the caller holds its lock and saves it)."""
    position.open_buy_quantity += change.buy_quantity
    position.open_sell_quantity += change.sell_quantity
    position.open_buy_notional += change.buy_notional
    position.open_sell_notional += change.sell_notional
    position.reserved_loss += change.loss
    position.open_order_count += change.orders


def widen_caps(position: Position) -> None:
    """Let a fact through: it may carry the position past the limit that its open orders were held to.

    A fill may come late, a leg begins to work when its broker says so, an original steps back into force.
    """
    position.long_cap = max(position.long_cap, position.quantity + position.open_buy_quantity)
    position.short_cap = max(position.short_cap, position.open_sell_quantity - position.quantity)
