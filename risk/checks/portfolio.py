"""What the order would do to the book: size, exposure, names, buying power, pace and loss.

Lines and totals count every open order as if it had filled, so what is judged is the worst that the account can become.
A limit binds the account (all strategies together) and the strategy alone.
"""

from collections.abc import Iterator
from decimal import Decimal

from risk.types import Case, Denial, DenialCode, Exposure, LimitValues, Totals

HUNDRED = Decimal(100)


def check_reduce_only(case: Case) -> Denial | None:
    """Deny a reduce-only order that would open, add to or flip a position."""
    if not case.intent.reduce_only or case.reduces:
        return None
    held = case.book.strategy_line.quantity
    return Denial(
        DenialCode.REDUCE_ONLY,
        "a reduce-only order must bring the position nearer to flat",
        limit=f"{held:f}",
        observed=f"{case.intent.signed_quantity:f}",
    )


def check_shortable(case: Case) -> Denial | None:
    """Deny a sale that would leave the strategy short in a name that cannot be borrowed."""
    if case.instrument is None or case.instrument.shortable or case.intent.sign > 0:
        return None
    projected = case.book.strategy_line.projected_quantity(-1) + case.intent.signed_quantity
    if projected >= 0:
        return None
    return Denial(
        DenialCode.NOT_SHORTABLE, f"{case.intent.symbol} cannot be sold short", limit="0", observed=f"{projected:f}"
    )


def check_order_interval(case: Case) -> Denial | None:
    """Deny an order too soon after the last one of the same name and strategy (market seconds)."""
    limit, last = case.limits.strategy.min_order_interval_seconds, case.book.last_order_at
    if last is None or limit <= 0 or case.reduces:
        return None
    elapsed = Decimal(int((case.at - last).total_seconds()))
    if elapsed >= limit:
        return None
    return Denial(
        DenialCode.ORDER_INTERVAL,
        f"the last {case.intent.symbol} order of {case.intent.strategy} was {elapsed:f} s ago",
        limit=f"{limit.normalize():f} s",
        observed=f"{elapsed:f} s",
    )


def check_order_rate(case: Case) -> Denial | None:
    """Deny more new orders of the account in one market minute than allowed."""
    limit = case.limits.account.max_orders_per_minute
    if case.book.rate_count < limit or case.reduces:
        return None
    return Denial(
        DenialCode.ORDER_RATE,
        f"{case.book.rate_count} orders in this minute",
        limit=f"{limit.normalize():f}",
        observed=str(case.book.rate_count),
    )


def check_open_orders(case: Case) -> Denial | None:
    """Deny one open order more than allowed."""
    for scope, totals, limits in _totals(case):
        if totals.open_orders + 1 > limits.max_open_orders and not case.reduces:
            return _over(
                case, DenialCode.OPEN_ORDER_LIMIT, "open orders", scope, limits.max_open_orders, totals.open_orders + 1
            )
    return None


def check_position_quantity(case: Case) -> Denial | None:
    """Deny when the position after every open order in the same direction would exceed the limit (shares)."""
    for scope, line, limits in _lines(case):
        projected = line.projected_quantity(case.intent.sign) + case.intent.signed_quantity
        if abs(projected) > limits.max_position_quantity and not _nearer_to_flat(case, line, projected):
            return _over(
                case, DenialCode.POSITION_LIMIT, "shares held", scope, limits.max_position_quantity, abs(projected)
            )
    return None


def _nearer_to_flat(case: Case, line: Exposure, projected: Decimal) -> bool:
    return line.quantity * case.intent.sign < 0 and projected * line.quantity >= 0


def check_position_notional(case: Case) -> Denial | None:
    """Deny when the worst value of the name would exceed the limit (account currency)."""
    for scope, line, limits in _lines(case):
        worst = _line_after(case, line).worst_notional
        if worst > limits.max_position_notional and worst > line.worst_notional:
            return _over(case, DenialCode.NOTIONAL_LIMIT, "value held", scope, limits.max_position_notional, worst)
    return None


def check_sector(case: Case) -> Denial | None:
    """Deny when the worst value of all names of the sector would exceed the limit (account currency)."""
    added = _added_gross(case)
    for scope, held, limits in (
        ("account", case.book.account_sector, case.limits.account),
        (_strategy_scope(case), case.book.strategy_sector, case.limits.strategy),
    ):
        if added > 0 and held + added > limits.max_sector_notional:
            sector = (case.instrument.sector if case.instrument else "") or "none"
            what = f"value held in sector {sector}"
            return _over(case, DenialCode.SECTOR_LIMIT, what, scope, limits.max_sector_notional, held + added)
    return None


def check_gross(case: Case) -> Denial | None:
    """Deny when the worst gross exposure would exceed the limit (account currency)."""
    for scope, totals, limits in _totals(case):
        projected = totals.gross + _added_gross(case)
        if projected > limits.max_gross_notional and projected > totals.gross:
            return _over(case, DenialCode.GROSS_LIMIT, "gross exposure", scope, limits.max_gross_notional, projected)
    return None


def check_net(case: Case) -> Denial | None:
    """Deny when net exposure in the order's direction would exceed the limit (account currency).

    An order that reduces passes: covering a short adds to a net long book, yet it must always be possible.
    """
    if case.reduces:
        return None
    sign = case.intent.sign
    for scope, totals, limits in _totals(case):
        reserved = totals.open_buy_notional if sign > 0 else totals.open_sell_notional
        projected = totals.net * sign + reserved + case.notional
        if projected > limits.max_net_notional:
            return _over(case, DenialCode.NET_LIMIT, "net exposure", scope, limits.max_net_notional, projected)
    return None


def check_names(case: Case) -> Denial | None:
    """Deny one name more than allowed, held or about to be."""
    lines = (case.book.account_line, case.book.strategy_line)
    for line, (scope, totals, limits) in zip(lines, _totals(case), strict=True):
        if line.is_flat and totals.names + 1 > limits.max_names:
            return _over(case, DenialCode.NAME_LIMIT, "names", scope, limits.max_names, totals.names + 1)
    return None


def check_buying_power(case: Case) -> Denial | None:
    """Deny when worst gross exposure would exceed equity times the margin multiplier."""
    book = case.book
    power, gross = book.equity * book.margin_multiplier, book.account_totals.gross
    projected = gross + _added_gross(case)
    if projected <= power or projected <= gross:
        return None
    return Denial(
        DenialCode.BUYING_POWER,
        f"the order needs {projected - gross:.2f}, {max(power - gross, Decimal(0)):.2f} is free",
        limit=f"{power:.2f}",
        observed=f"{projected:.2f}",
        scope="account",
    )


def check_daily_loss(case: Case) -> Denial | None:
    """Deny what adds risk when the loss since the last close, with what open orders may lose at once, is too large."""
    pct = case.limits.account.daily_loss_pct
    return _check_loss(case, DenialCode.DAILY_LOSS, "today", case.book.day_base_equity, pct)


def check_weekly_loss(case: Case) -> Denial | None:
    """Deny what adds risk when the loss since last week's close is too large; counted as the daily loss."""
    pct = case.limits.account.weekly_loss_pct
    return _check_loss(case, DenialCode.WEEKLY_LOSS, "this week", case.book.week_base_equity, pct)


def check_intraday_loss(case: Case) -> Denial | None:
    """Deny what adds risk when the loss from the session's highest equity is too large; counted as the daily loss."""
    base = case.book.session_peak_equity
    pct = case.limits.account.intraday_loss_pct
    return None if base is None else _check_loss(case, DenialCode.INTRADAY_LOSS, "from today's peak", base, pct)


def check_drawdown(case: Case) -> Denial | None:
    """Deny what adds risk when the loss from the highest equity ever is too large; counted as the daily loss."""
    base = case.book.peak_equity
    pct = case.limits.account.drawdown_pct
    return None if base is None else _check_loss(case, DenialCode.DRAWDOWN, "from the highest equity", base, pct)


def _check_loss(case: Case, code: DenialCode, period: str, base: Decimal, pct: Decimal) -> Denial | None:
    if case.reduces:
        return None
    allowed, lost = base * pct / HUNDRED, base - case.book.equity
    at_risk = lost + case.book.account_totals.reserved_loss + case.intent.quantity * case.loss_per_share
    if base > 0 and at_risk <= allowed and lost < allowed:
        return None
    return Denial(
        code,
        f"lost {period} with what open orders may lose at once: {at_risk:.2f} of {base:.2f}",
        limit=f"{allowed:.2f} ({pct.normalize():f}%)",
        observed=f"{at_risk:.2f}",
        scope="account",
    )


def _lines(case: Case) -> Iterator[tuple[str, Exposure, LimitValues]]:
    yield "account", case.book.account_line, case.limits.account
    yield _strategy_scope(case), case.book.strategy_line, case.limits.strategy


def _totals(case: Case) -> Iterator[tuple[str, Totals, LimitValues]]:
    yield "account", case.book.account_totals, case.limits.account
    yield _strategy_scope(case), case.book.strategy_totals, case.limits.strategy


def _strategy_scope(case: Case) -> str:
    return f"strategy:{case.intent.strategy}"


def _line_after(case: Case, line: Exposure) -> Exposure:
    return line.adding(sign=case.intent.sign, quantity=case.intent.quantity, price=case.reserve_price)


def _added_gross(case: Case) -> Decimal:
    line = case.book.strategy_line
    return _line_after(case, line).worst_notional - line.worst_notional


def _over(case: Case, code: DenialCode, what: str, scope: str, limit: Decimal, observed: Decimal | int) -> Denial:
    shown = f"{Decimal(observed).normalize():f}"
    return Denial(
        code,
        f"{what} of {scope} would be {shown}",
        limit=f"{limit.normalize():f}",
        observed=shown,
        scope=scope,
    )
