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
