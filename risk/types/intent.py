"""What somebody wants to trade."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from risk.types.words import OrderType, Origin, Side, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """What somebody wants to trade, before anybody has judged it; values may be nonsense and are checked by the gate.

    `quantity` in shares; prices in account currency a share. `source_ref` names what wanted it (a run, a user).
    `order_class` and `leg_role` belong to groups (bracket, oco, oto). `replaces_id` is the order whose terms this one
    changes, `cover_quantity` the shares that it holds for both until the broker has decided, `total_quantity` the
    shares it is for together with what the orders before it have filled. `signals_as_of` is the session whose close a
    run's signals were made from, `model_refusal` why the model behind them must not be traded on (empty: it may, or
    there is none).
    """

    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.DAY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool = False
    reduce_only: bool = False
    client_order_id: str = ""
    idempotency_key: str = ""
    origin: Origin = Origin.API
    source_ref: str = ""
    parent_id: int | None = None
    slice_number: int | None = None
    order_class: str = ""
    leg_role: str = ""
    replaces_id: int | None = None
    cover_quantity: Decimal | None = None
    total_quantity: Decimal | None = None
    signals_as_of: date | None = None
    model_refusal: str = ""

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self.side == Side.BUY else -1

    @property
    def takes_profit(self) -> bool:
        """Whether it is the exit of a group that waits for a better price; an OCO's first order is one."""
        return self.leg_role == "take_profit" or (self.order_class == "oco" and not self.leg_role)

    @property
    def signed_quantity(self) -> Decimal:
        """Shares, negative for a sell."""
        return self.quantity * self.sign
