"""How fast and how often: messages, orders alike, orders in a row, open orders of a name, turnover.

What reduces a position passes them all, and is counted.
"""

from decimal import Decimal

from risk.types import Case, Denial, DenialCode, Origin


def check_message_rate(case: Case) -> Denial | None:
    """Deny one order or change more in a market minute than allowed; cancels are counted with them, never stopped."""
    if case.reduces:
        return None
    for scope, totals, limits in (
        ("account", case.book.account_totals, case.limits.account),
        (f"strategy:{case.intent.strategy}", case.book.strategy_totals, case.limits.strategy),
    ):
        if totals.messages + 1 > limits.max_messages_per_minute:
            return _too_many(
                DenialCode.MESSAGE_RATE,
                f"{totals.messages} orders, new terms and cancels of {scope} in this minute",
                limits.max_messages_per_minute,
                totals.messages + 1,
                scope,
            )
    return None


def check_identical(case: Case) -> Denial | None:
    """Deny one order more that is alike in all its terms than allowed within the window: somebody runs in a loop."""
    limits, count = case.limits.strategy, case.book.identical_count + 1
    if count <= limits.max_identical_orders or case.reduces:
        return None
    return _too_many(
        DenialCode.DUPLICATE_ORDER,
        f"{count - 1} orders with these very terms in {limits.identical_window_seconds.normalize():f} s",
        limits.max_identical_orders,
        count,
        f"strategy:{case.intent.strategy}",
    )


def check_repeated(case: Case) -> Denial | None:
    """Deny the next order of a strategy that has traded one side of a name too often; the strategy is switched off.

    A parent's slices are one decision and do not count.
    """
    limits, count = case.limits.strategy, case.book.run_count + 1
    if count <= limits.max_repeated_orders or case.intent.origin == Origin.SLICE or case.reduces:
        return None
    return _too_many(
        DenialCode.REPEATED_ORDERS,
        f"{count - 1} {case.intent.side} orders of {case.intent.strategy} in {case.intent.symbol} within"
        f" {limits.repeat_window_seconds.normalize():f} s: the strategy is switched off until a person enables it",
        limits.max_repeated_orders,
        count,
        f"strategy:{case.intent.strategy}",
    )


def check_open_orders_in_name(case: Case) -> Denial | None:
    """Deny one open order of a name more than allowed."""
    if case.reduces:
        return None
    for scope, line, limits in (
        ("account", case.book.account_line, case.limits.account),
        (f"strategy:{case.intent.strategy}", case.book.strategy_line, case.limits.strategy),
    ):
        if line.open_order_count + 1 > limits.max_open_orders_per_symbol:
            return _too_many(
                DenialCode.SYMBOL_ORDER_LIMIT,
                f"{line.open_order_count} open orders of {scope} in {case.intent.symbol}",
                limits.max_open_orders_per_symbol,
                line.open_order_count + 1,
                scope,
            )
    return None


def check_turnover(case: Case) -> Denial | None:
    """Deny what would bring the value of all orders accepted in the session over the limit (account currency)."""
    if case.reduces:
        return None
    for scope, totals, limits in (
        ("account", case.book.account_totals, case.limits.account),
        (f"strategy:{case.intent.strategy}", case.book.strategy_totals, case.limits.strategy),
    ):
        projected = totals.turnover + case.notional
        if projected > limits.max_daily_turnover:
            return _too_many(
                DenialCode.TURNOVER_LIMIT,
                f"orders of {scope} in this session would come to {projected:.2f}",
                limits.max_daily_turnover,
                projected,
                scope,
            )
    return None


def _too_many(code: DenialCode, message: str, limit: Decimal, observed: Decimal | int, scope: str) -> Denial:
    return Denial(
        code,
        message,
        limit=f"{limit.normalize():f}",
        observed=f"{Decimal(observed).normalize():f}",
        scope=scope,
    )
