"""Does the market take the order now: tradable, restricted, halted, session, auction windows, price bands."""

from risk.types import AUCTIONS, Case, Denial, DenialCode, OrderType, TimeInForce

OPENING_CUTOFF_MINUTES = 2  # NYSE and Nasdaq take no market-on-open order after 09:28
CLOSING_CUTOFF_MINUTES = 10  # nor a market-on-close order after 15:50


def check_tradable(case: Case) -> Denial | None:
    """Deny an instrument that is inactive or delisted."""
    if case.instrument is None or case.instrument.tradable:
        return None
    return Denial(DenialCode.NOT_TRADABLE, f"{case.intent.symbol} is not tradable", limit="tradable", observed="no")


def check_restricted(case: Case) -> Denial | None:
    """Deny what adds to a name on the restricted list."""
    if case.instrument is None or not case.instrument.restriction or case.reduces:
        return None
    return Denial(
        DenialCode.RESTRICTED,
        f"{case.intent.symbol} is restricted: {case.instrument.restriction}",
        limit="reduce only",
        observed="adds to the position",
    )


def check_not_halted(case: Case) -> Denial | None:
    """Deny what adds to a name that the exchange has halted: it would meet whatever price trading resumes at."""
    if case.instrument is None or not case.instrument.halted or case.reduces:
        return None
    reason = f": {case.instrument.halt_reason}" if case.instrument.halt_reason else ""
    return Denial(
        DenialCode.HALTED,
        f"trading in {case.intent.symbol} is halted{reason}; only orders that reduce a position pass",
        limit="trading",
        observed="halted",
    )


def check_price_band(case: Case) -> Denial | None:
    """Deny a limit order that reaches beyond the exchange's price band (limit up, limit down): it cannot trade there.

    A price on the far side of the market may wait outside the band. Auctions have no band, and a stop's limit counts
    when it is triggered, under the band of then.
    """
    instrument, intent = case.instrument, case.intent
    if instrument is None or intent.limit_price is None or intent.order_type != OrderType.LIMIT:
        return None
    if case.session.phase != "open" or intent.time_in_force in AUCTIONS:
        return None
    if instrument.limit_down is None or instrument.limit_up is None:
        return None
    bound = instrument.limit_up if intent.sign > 0 else instrument.limit_down
    if (intent.limit_price - bound) * intent.sign <= 0:
        return None
    band = f"{instrument.limit_down.normalize():f} to {instrument.limit_up.normalize():f}"
    return Denial(
        DenialCode.LULD_BAND,
        f"a {intent.side} at {intent.limit_price:f} is beyond the price band {band} of {intent.symbol}",
        limit=band,
        observed=f"{intent.limit_price:f}",
    )


def check_session(case: Case) -> Denial | None:
    """Deny orders that need an open market while it is closed.

    A market order for the day would be queued to the next open by the broker and be forgotten until then: who wants
    that says so with `opg`.
    """
    intent, phase = case.intent, case.session.phase
    if phase == "open" or intent.time_in_force in AUCTIONS:
        return None
    needs_open = intent.order_type == OrderType.MARKET or intent.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    if not needs_open and not (intent.extended_hours and phase == "closed"):
        return None
    return Denial(
        DenialCode.MARKET_CLOSED,
        f"the market is closed ({phase}): a {intent.order_type} {intent.time_in_force} order needs it open;"
        " use opg for the next open or a limit order",
        limit="open",
        observed=phase,
    )


def check_auction_window(case: Case) -> Denial | None:
    """Deny auction orders outside their window, and market orders in the first and last minutes of a session.

    The window opens at 19:00 New York on the session day before: brokers refuse what comes earlier. An order that
    reduces a position may always go to the market.
    """
    session, intent = case.session, case.intent
    if intent.time_in_force in AUCTIONS and not session.auctions_taken:
        return _window_denial(
            case, f"{intent.time_in_force} orders for the next session are taken from 19:00 New York on, not yet"
        )
    if intent.time_in_force == TimeInForce.OPG:
        late = session.phase == "open" or -OPENING_CUTOFF_MINUTES <= session.minutes_from_open < 0
        return _window_denial(case, "opg orders are taken until 2 minutes before the open") if late else None
    if intent.time_in_force == TimeInForce.CLS:
        late = session.phase == "open" and session.minutes_to_close <= CLOSING_CUTOFF_MINUTES
        return _window_denial(case, "cls orders are taken until 10 minutes before the close") if late else None
    if session.phase != "open" or intent.order_type != OrderType.MARKET or case.reduces:
        return None
    quiet = case.limits.strategy.auction_quiet_minutes
    if session.minutes_from_open >= quiet and session.minutes_to_close >= quiet:
        return None
    return _window_denial(case, f"no market orders in the first and last {quiet.normalize():f} minutes")


def _window_denial(case: Case, message: str) -> Denial:
    observed = f"{case.session.minutes_from_open} min from open, {case.session.minutes_to_close} min to close"
    return Denial(DenialCode.AUCTION_WINDOW, message, limit=message, observed=observed)
