"""What was known when an order was asked for: instrument, price, session, book, state."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

ZERO = Decimal(0)


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
    sector: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceView:
    """The latest price and its age in trading seconds; sides are None when the feed has none."""

    last: Decimal
    bid: Decimal | None
    ask: Decimal | None
    at: datetime
    age_seconds: int


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
    turnover: Decimal = ZERO
    """Value of the orders accepted in the session, account currency."""
    messages: int = 0
    """Orders, new terms and cancels of the market minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioSnapshot:
    """The account under its lock.

    `strategy_line` is the strategy's own position line; `account_line` sums all strategies in the instrument.
    `day_base_equity` is the equity at the close before, `week_base_equity` that of the week before, the peaks are the
    highest equity of the session and ever. `account_sector` and `strategy_sector` are the worst values of the lines in
    the instrument's sector. `identical_count` and `run_count` are the orders alike and those of the same strategy, name
    and side that were accepted within their windows. `opposite_price` is the best resting limit of the account on the
    other side, whatever the strategy. `parent_left` are the shares of a parent that its children leave over.
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
    account_sector: Decimal = ZERO
    strategy_sector: Decimal = ZERO
    identical_count: int = 0
    run_count: int = 0
    opposite_price: Decimal | None = None
    parent_left: Decimal | None = None
    session_peak_equity: Decimal | None = None
    peak_equity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingState:
    """Kill switch scopes engaged for this order and the strongest of their levels, breaker and reconciliation.

    As read under the lock.
    """

    halted_by: tuple[str, ...]
    breaker: str
    reconciliation: str
    strategy_enabled: bool
    halt_level: str = "halted"
    """Means something only while a scope is engaged."""
    clock_skew_ms: int | None = None
    """The broker's clock minus ours; None where there is no other clock."""
    release: str = ""
    version: str = ""
    """The version that may trade and the one that judges; empty while none was ever announced."""
