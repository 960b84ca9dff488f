"""One order before the gate, with the limits that bind it."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from risk.types.intent import OrderIntent
from risk.types.views import ZERO, InstrumentView, PortfolioSnapshot, PriceView, SessionView, TradingState


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
    intraday_loss_pct: Decimal
    drawdown_pct: Decimal
    max_broker_errors_per_minute: Decimal
    max_rejects_per_minute: Decimal
    max_feed_age_seconds: Decimal
    max_clock_skew_ms: Decimal
    breaker_confirmations: Decimal
    breaker_warning_pct: Decimal
    auto_reduce: Decimal
    max_correlation_pct: Decimal
    max_var_pct: Decimal
    market_order_cost_bps: Decimal
    nbbo_collar_pct: Decimal
    max_nbbo_age_seconds: Decimal
    max_sector_notional: Decimal
    max_open_orders_per_symbol: Decimal
    max_daily_turnover: Decimal
    max_messages_per_minute: Decimal
    max_identical_orders: Decimal
    identical_window_seconds: Decimal
    max_repeated_orders: Decimal
    repeat_window_seconds: Decimal
    self_trade_prevention: Decimal
    order_clock_skew_ms: Decimal
    max_signal_age_sessions: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveLimits:
    """`account` binds the sum over all strategies, `strategy` binds this strategy alone.

    `soft` are the values that warn; they have none of their own.
    """

    account: LimitValues
    strategy: LimitValues
    version: int = 0
    soft: "EffectiveLimits | None" = None


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
    signal_age: int | None = None
    """Sessions from the signals' date to the order's; None when the order tells of no signals."""
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
