"""The checks of the gate, in the order in which they are reported.

A check is pure: case in, denial or None out. A new rule is one function here and its place in one of these lists.
"""

from collections.abc import Callable

from risk.checks import crossing, form, market, pace, portfolio, price, state, trust
from risk.types import Case, Denial

Check = Callable[[Case], Denial | None]

# Asked of every case, however malformed.
STATE_CHECKS: tuple[Check, ...] = (
    state.check_kill_switch,
    state.check_breaker,
    state.check_reconciliation,
    state.check_strategy_enabled,
    trust.check_version,
    trust.check_clock,
    trust.check_signals,
    trust.check_model,
)
# Whether the order says something that can be judged at all; the rest is not asked when one of these refuses.
FORM_CHECKS: tuple[Check, ...] = (
    form.check_quantity,
    form.check_prices,
    form.check_combination,
    form.check_instrument,
    price.check_price_available,
)
RULE_CHECKS: tuple[Check, ...] = (
    form.check_tick_and_lot,
    market.check_tradable,
    market.check_restricted,
    market.check_not_halted,
    market.check_session,
    market.check_auction_window,
    price.check_price_fresh,
    price.check_price_collar,
    price.check_nbbo_collar,
    market.check_price_band,
    price.check_order_quantity,
    price.check_order_notional,
    price.check_volume_share,
    portfolio.check_reduce_only,
    portfolio.check_shortable,
    crossing.check_parent,
    crossing.check_self_trade,
    portfolio.check_order_interval,
    portfolio.check_order_rate,
    pace.check_message_rate,
    pace.check_identical,
    pace.check_repeated,
    portfolio.check_open_orders,
    pace.check_open_orders_in_name,
    portfolio.check_position_quantity,
    portfolio.check_position_notional,
    portfolio.check_sector,
    portfolio.check_gross,
    portfolio.check_net,
    portfolio.check_names,
    pace.check_turnover,
    portfolio.check_buying_power,
    portfolio.check_daily_loss,
    portfolio.check_weekly_loss,
    portfolio.check_intraday_loss,
    portfolio.check_drawdown,
)
# Asked once more of what was accepted, with the soft values of the limits: what they say is a warning.
SOFT_CHECKS: tuple[Check, ...] = (
    trust.check_clock,
    price.check_price_collar,
    price.check_nbbo_collar,
    price.check_order_quantity,
    price.check_order_notional,
    price.check_volume_share,
    portfolio.check_order_rate,
    pace.check_message_rate,
    pace.check_identical,
    pace.check_repeated,
    portfolio.check_open_orders,
    pace.check_open_orders_in_name,
    portfolio.check_position_quantity,
    portfolio.check_position_notional,
    portfolio.check_sector,
    portfolio.check_gross,
    portfolio.check_net,
    portfolio.check_names,
    pace.check_turnover,
    portfolio.check_daily_loss,
    portfolio.check_weekly_loss,
    portfolio.check_intraday_loss,
    portfolio.check_drawdown,
)
