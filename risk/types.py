"""The case that the gate judges: what is wanted, and all that was known when it was asked.

Everything here is immutable and free of the database. Money and quantities are `Decimal`, times are market time.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from django.db.models import TextChoices

ZERO = Decimal(0)


class Side(TextChoices):
    BUY = "buy", "buy"
    SELL = "sell", "sell"


class OrderType(TextChoices):
    MARKET = "market", "market"
    LIMIT = "limit", "limit"
    STOP = "stop", "stop"
    STOP_LIMIT = "stop_limit", "stop limit"


class TimeInForce(TextChoices):
    DAY = "day", "day"
    GTC = "gtc", "good till canceled"
    IOC = "ioc", "immediate or cancel"
    FOK = "fok", "fill or kill"
    OPG = "opg", "at the open"
    CLS = "cls", "at the close"


class Origin(TextChoices):
    """Who asked for the order; every origin passes the same gate."""

    API = "api", "REST API"
    ALPACA_API = "alpaca_api", "Alpaca-compatible API"
    CONSOLE = "console", "console"
    RUN = "run", "strategy run"
    SLICE = "slice", "slice of a parent order"
    COMMAND = "command", "command line"


AUCTIONS = frozenset({TimeInForce.OPG.value, TimeInForce.CLS.value})


class DenialCode(StrEnum):
    """Rules of the gate, in the order in which they are reported."""

    KILL_SWITCH = "KILL_SWITCH"
    CIRCUIT_BREAKER = "CIRCUIT_BREAKER"
    RECONCILIATION_PENDING = "RECONCILIATION_PENDING"
    STRATEGY_DISABLED = "STRATEGY_DISABLED"
    INVALID_QUANTITY = "INVALID_QUANTITY"
    INVALID_PRICE = "INVALID_PRICE"
    INVALID_COMBINATION = "INVALID_COMBINATION"
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    NOT_TRADABLE = "NOT_TRADABLE"
    RESTRICTED = "RESTRICTED"
    HALTED = "HALTED"
    MARKET_CLOSED = "MARKET_CLOSED"
    AUCTION_WINDOW = "AUCTION_WINDOW"
    PRICE_UNAVAILABLE = "PRICE_UNAVAILABLE"
    PRICE_STALE = "PRICE_STALE"
    PRICE_COLLAR = "PRICE_COLLAR"
    LULD_BAND = "LULD_BAND"
    FAT_FINGER_QUANTITY = "FAT_FINGER_QUANTITY"
    FAT_FINGER_NOTIONAL = "FAT_FINGER_NOTIONAL"
    ADV_LIMIT = "ADV_LIMIT"
    REDUCE_ONLY = "REDUCE_ONLY"
    NOT_SHORTABLE = "NOT_SHORTABLE"
    ORDER_INTERVAL = "ORDER_INTERVAL"
    ORDER_RATE = "ORDER_RATE"
    OPEN_ORDER_LIMIT = "OPEN_ORDER_LIMIT"
    POSITION_LIMIT = "POSITION_LIMIT"
    NOTIONAL_LIMIT = "NOTIONAL_LIMIT"
    GROSS_LIMIT = "GROSS_LIMIT"
    NET_LIMIT = "NET_LIMIT"
    NAME_LIMIT = "NAME_LIMIT"
    BUYING_POWER = "BUYING_POWER"
    DAILY_LOSS = "DAILY_LOSS"
    WEEKLY_LOSS = "WEEKLY_LOSS"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """What somebody wants to trade, before anybody has judged it; values may be nonsense and are checked by the gate.

    `quantity` in shares; prices in account currency a share. `source_ref` names what wanted it (a run, a user).
    `order_class` and `leg_role` belong to groups (bracket, oco, oto). `replaces_id` is the order whose terms this one
    changes, `cover_quantity` the shares that it holds for both until the broker has decided, `total_quantity` the
    shares it is for together with what the orders before it have filled.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentView:
    """What is known of the instrument; `average_daily_volume` in shares, None when it was never computed.

    `halt_reason` is what the exchange says of a halt; `limit_down` and `limit_up` the price band of this session, None
    where none was told.
    """

    symbol: str
    tick_size: Decimal
    lot_size: Decimal
    tradable: bool
    shortable: bool
    fractionable: bool
    average_daily_volume: Decimal | None
    restriction: str = ""
    halted: bool = False
    halt_reason: str = ""
    limit_down: Decimal | None = None
    limit_up: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceView:
    """The latest price and its age in trading seconds; sides are None when the feed has none."""

    last: Decimal
    bid: Decimal | None
    ask: Decimal | None
    at: datetime
    age_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Held and reserved: shares, and account currency at the mark or the reserve price.

    `open_*_notional` is what open orders of that side may add at worst.
    """

    quantity: Decimal = ZERO
    mark: Decimal = ZERO
    open_buy_quantity: Decimal = ZERO
    open_sell_quantity: Decimal = ZERO
    open_buy_notional: Decimal = ZERO
    open_sell_notional: Decimal = ZERO
    open_order_count: int = 0

    @property
    def is_flat(self) -> bool:
        """Nothing held and nothing that may become a holding."""
        return not (self.quantity or self.open_buy_quantity or self.open_sell_quantity)

    def projected_quantity(self, sign: int) -> Decimal:
        """Shares held once every open order of that direction has filled."""
        return self.quantity + (self.open_buy_quantity if sign > 0 else -self.open_sell_quantity)

    @property
    def worst_notional(self) -> Decimal:
        """Largest absolute value that the open orders can lead to, account currency."""
        held = self.quantity * self.mark
        return max(abs(held + self.open_buy_notional), abs(held - self.open_sell_notional), abs(held))

    def adding(self, *, sign: int, quantity: Decimal, price: Decimal) -> "Exposure":
        """Count one more open order of that direction at the given price."""
        buy, sell = (quantity, ZERO) if sign > 0 else (ZERO, quantity)
        return Exposure(
            quantity=self.quantity,
            mark=self.mark,
            open_buy_quantity=self.open_buy_quantity + buy,
            open_sell_quantity=self.open_sell_quantity + sell,
            open_buy_notional=self.open_buy_notional + buy * price,
            open_sell_notional=self.open_sell_notional + sell * price,
            open_order_count=self.open_order_count + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over position lines: `gross` at the worst notional of each line, `net` of what is held, account currency."""

    gross: Decimal = ZERO
    net: Decimal = ZERO
    open_buy_notional: Decimal = ZERO
    open_sell_notional: Decimal = ZERO
    names: int = 0
    open_orders: int = 0
    reserved_loss: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioSnapshot:
    """The account under its lock.

    `strategy_line` is the strategy's own position line; `account_line` sums all strategies in the instrument.
    `day_base_equity` is the equity at the close before, `week_base_equity` that of the week before.
    """

    strategy_line: Exposure
    account_line: Exposure
    strategy_totals: Totals
    account_totals: Totals
    equity: Decimal
    day_base_equity: Decimal
    week_base_equity: Decimal
    margin_multiplier: Decimal
    rate_count: int
    last_order_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingState:
    """Kill switch scopes engaged for this order, breaker and reconciliation, as read under the lock."""

    halted_by: tuple[str, ...]
    breaker: str
    reconciliation: str
    strategy_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """Where the market instant lies in its session.

    `auctions_taken` is false from a close until the exchanges take auction orders for the next session.
    """

    phase: str
    minutes_from_open: int
    minutes_to_close: int
    auctions_taken: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitValues:
    """Every limit in force for one (strategy, symbol); units in `risk.limits.LIMITS`."""

    max_order_quantity: Decimal
    max_order_notional: Decimal
    max_order_adv_pct: Decimal
    price_collar_pct: Decimal
    max_price_age_seconds: Decimal
    max_position_quantity: Decimal
    max_position_notional: Decimal
    max_gross_notional: Decimal
    max_net_notional: Decimal
    max_names: Decimal
    max_open_orders: Decimal
    max_orders_per_minute: Decimal
    min_order_interval_seconds: Decimal
    auction_quiet_minutes: Decimal
    daily_loss_pct: Decimal
    weekly_loss_pct: Decimal
    market_order_cost_bps: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveLimits:
    """`account` binds the sum over all strategies, `strategy` binds this strategy alone."""

    account: LimitValues
    strategy: LimitValues
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One order before the gate."""

    intent: OrderIntent
    at: datetime
    session: SessionView
    instrument: InstrumentView | None
    price: PriceView | None
    book: PortfolioSnapshot
    limits: EffectiveLimits
    state: TradingState
    reserve_price: Decimal = field(default=ZERO)
    loss_per_share: Decimal = field(default=ZERO)

    @property
    def notional(self) -> Decimal:
        """Shares times the price they are reserved at, account currency."""
        return self.intent.quantity * self.reserve_price

    @property
    def reduces(self) -> bool:
        """Whether the order can only bring the strategy's position nearer to flat, all its open orders filled."""
        held, sign = self.book.strategy_line.quantity, self.intent.sign
        if held * sign >= 0 or not self.intent.quantity.is_finite():
            return False
        return (self.book.strategy_line.projected_quantity(sign) + self.intent.signed_quantity) * held >= 0

    @property
    def closes(self) -> bool:
        """Whether the order, with the open ones of its side, leaves nothing of the strategy's position."""
        projected = self.book.strategy_line.projected_quantity(self.intent.sign)
        return self.reduces and projected + self.intent.signed_quantity == 0


@dataclass(frozen=True, slots=True)
class Denial:
    """One rule's refusal with the numbers it compared; both as text so that a NaN can be told as well."""

    code: DenialCode
    message: str
    limit: str = ""
    observed: str = ""
    scope: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the form that is stored and sent to clients."""
        return {
            "code": self.code.value,
            "message": self.message,
            "limit": self.limit,
            "observed": self.observed,
            "scope": self.scope,
        }
