"""Does the order make sense by itself: numbers, combinations, ticks and lots."""

from decimal import Decimal

from risk.types import Case, Denial, DenialCode, OrderType, Side, TimeInForce

STORABLE_MAX = Decimal(10) ** 12  # NUMERIC(20, 8) keeps twelve digits before the point
FINEST = Decimal("0.00000001")
SUB_PENNY_BELOW = Decimal(1)  # Regulation NMS rule 612: quotes under $1 may use four decimals
SUB_PENNY_TICK = Decimal("0.0001")


def storable(value: Decimal) -> bool:
    """Tell whether the value is a positive finite number that the ledger can keep without rounding."""
    if not value.is_finite() or value <= 0 or value >= STORABLE_MAX:
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and (exponent >= -8 or value == value.quantize(FINEST))


def check_quantity(case: Case) -> Denial | None:
    """Deny a quantity that is no positive, finite, storable number of shares."""
    if storable(case.intent.quantity):
        return None
    return Denial(
        DenialCode.INVALID_QUANTITY,
        "quantity must be a positive number with at most 8 decimals",
        limit=f"0 < quantity < {STORABLE_MAX:f}",
        observed=str(case.intent.quantity),
    )


def check_prices(case: Case) -> Denial | None:
    """Deny a limit or stop price that is no positive, finite, storable number."""
    for name, value in (("limit_price", case.intent.limit_price), ("stop_price", case.intent.stop_price)):
        if value is not None and not storable(value):
            return Denial(
                DenialCode.INVALID_PRICE,
                f"{name} must be a positive number with at most 8 decimals",
                limit=f"0 < {name} < {STORABLE_MAX:f}",
                observed=str(value),
            )
    return None


def check_combination(case: Case) -> Denial | None:
    """Deny prices that the type does not take or lacks, and times in force that do not go with it."""
    problem = _combination_problem(case)
    if problem is None:
        return None
    allowed, observed = problem
    return Denial(DenialCode.INVALID_COMBINATION, f"{observed}: {allowed}", limit=allowed, observed=observed)


def _combination_problem(case: Case) -> tuple[str, str] | None:
    intent = case.intent
    words = ((intent.side, Side), (intent.order_type, OrderType), (intent.time_in_force, TimeInForce))
    for word, known in words:
        if word not in known.values:
            return (f"one of {', '.join(known.values)}", f"{word!s:.32}")
    wants_limit = intent.order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    wants_stop = intent.order_type in (OrderType.STOP, OrderType.STOP_LIMIT)
    if wants_limit != (intent.limit_price is not None):
        return ("limit_price goes with limit and stop_limit orders only", f"{intent.order_type} order")
    if wants_stop != (intent.stop_price is not None):
        return ("stop_price goes with stop and stop_limit orders only", f"{intent.order_type} order")
    if wants_stop and intent.time_in_force not in (TimeInForce.DAY, TimeInForce.GTC):
        return ("a stop order is day or gtc", f"stop order with {intent.time_in_force}")
    if intent.extended_hours and (intent.order_type, intent.time_in_force) != (OrderType.LIMIT, TimeInForce.DAY):
        return ("extended hours take limit orders for the day only", f"{intent.order_type} {intent.time_in_force}")
    if intent.order_type == OrderType.MARKET and intent.time_in_force == TimeInForce.GTC and not intent.order_class:
        return ("a market order cannot wait: use day, ioc, fok, opg or cls", "market order with gtc")
    return None


def check_instrument(case: Case) -> Denial | None:
    """Deny a symbol that the platform does not know."""
    if case.instrument is not None:
        return None
    return Denial(
        DenialCode.UNKNOWN_INSTRUMENT,
        f"symbol {case.intent.symbol!r} is not known",
        limit="a known symbol",
        observed=case.intent.symbol[:32],
    )


def check_tick_and_lot(case: Case) -> Denial | None:
    """Deny parts of a lot or share where none are taken, and prices off the tick (under one dollar $0.0001).

    What a partial execution has left of a lot can be sold as it is, or nobody could ever leave the position.
    """
    instrument, intent = case.instrument, case.intent
    if instrument is None:
        return None
    if not instrument.fractionable and not case.closes and intent.quantity % instrument.lot_size:
        return Denial(
            DenialCode.INVALID_QUANTITY,
            f"{intent.symbol} trades in lots of {instrument.lot_size.normalize():f}",
            limit=f"{instrument.lot_size.normalize():f}",
            observed=f"{intent.quantity:f}",
        )
    if intent.time_in_force != TimeInForce.DAY and intent.quantity % 1:
        return Denial(
            DenialCode.INVALID_QUANTITY,
            f"only day orders may be for a part of a share, {intent.time_in_force} takes whole shares",
            limit="1",
            observed=f"{intent.quantity:f}",
        )
    for price in (intent.limit_price, intent.stop_price):
        if price is None:
            continue
        tick = instrument.tick_size if price >= SUB_PENNY_BELOW else min(SUB_PENNY_TICK, instrument.tick_size)
        if price % tick:
            return Denial(
                DenialCode.INVALID_PRICE,
                f"price {price:f} is not a multiple of the tick {tick.normalize():f}",
                limit=f"{tick.normalize():f}",
                observed=f"{price:f}",
            )
    return None
