"""Is the price known, fresh and sane, and is the order no slip of a finger."""

from decimal import Decimal

from risk.types import Case, Denial, DenialCode

HUNDRED = Decimal(100)


def check_price_available(case: Case) -> Denial | None:
    """Deny when there is no usable price: none, a last or a side that is no positive number, or crossed sides."""
    price = case.price
    if price is None:
        return _unavailable(case, "no price is known", "none")
    if not price.last.is_finite() or price.last <= 0:
        return _unavailable(case, "the last price is no positive number", str(price.last))
    for name, side in (("bid", price.bid), ("ask", price.ask)):
        if side is not None and (not side.is_finite() or side <= 0):
            return _unavailable(case, f"the {name} is no positive number", str(side))
    if price.bid is not None and price.ask is not None and price.bid > price.ask:
        return _unavailable(case, "the quote is crossed", f"{price.bid:f} > {price.ask:f}")
    return None


def _unavailable(case: Case, problem: str, observed: str) -> Denial:
    return Denial(
        DenialCode.PRICE_UNAVAILABLE, f"{case.intent.symbol}: {problem}", limit="a valid price", observed=observed
    )


def check_price_fresh(case: Case) -> Denial | None:
    """Deny when the last price is older than allowed, in seconds of trading time, or from the future."""
    limit = case.limits.strategy.max_price_age_seconds
    if case.price is None or 0 <= case.price.age_seconds <= limit:
        return None
    return Denial(
        DenialCode.PRICE_STALE,
        f"the price of {case.intent.symbol} is {case.price.age_seconds} s old",
        limit=f"{limit.normalize():f} s",
        observed=f"{case.price.age_seconds} s",
    )


def check_price_collar(case: Case) -> Denial | None:
    """Deny a limit or stop price too far from the last price, in percent of it.

    A take profit that waits for a better price is no slip of a finger, however far it is.
    """
    if case.price is None:
        return None
    collar, last = case.limits.strategy.price_collar_pct, case.price.last
    for wanted in (case.intent.limit_price, case.intent.stop_price):
        if wanted is None or (case.intent.takes_profit and (wanted - last) * case.intent.sign <= 0):
            continue
        distance = abs(wanted - last) * HUNDRED / last
        if distance > collar:
            return Denial(
                DenialCode.PRICE_COLLAR,
                f"price {wanted:f} is {distance:.2f}% from the last price {last:f}",
                limit=f"{collar.normalize():f}%",
                observed=f"{distance:.2f}%",
            )
    return None


def check_nbbo_collar(case: Case) -> Denial | None:
    """Deny a limit too far beyond the side it would trade with, in percent of it, and one held against an old quote.

    Bid and ask are asked for while they are told; the distance from the last price is asked in any case.
    """
    price, wanted, limits = case.price, case.intent.limit_price, case.limits.strategy
    if price is None or wanted is None:
        return None
    side = price.ask if case.intent.sign > 0 else price.bid
    if side is None:
        return None
    name = "ask" if case.intent.sign > 0 else "bid"
    if price.age_seconds > limits.max_nbbo_age_seconds:
        return Denial(
            DenialCode.NBBO_COLLAR,
            f"the {name} of {case.intent.symbol} is {price.age_seconds} s old: too old to hold a limit against",
            limit=f"{limits.max_nbbo_age_seconds.normalize():f} s",
            observed=f"{price.age_seconds} s",
        )
    beyond = (wanted - side) * case.intent.sign * HUNDRED / side
    if beyond <= limits.nbbo_collar_pct:
        return None
    return Denial(
        DenialCode.NBBO_COLLAR,
        f"price {wanted:f} is {beyond:.2f}% beyond the {name} {side:f}",
        limit=f"{limits.nbbo_collar_pct.normalize():f}%",
        observed=f"{beyond:.2f}%",
    )


def check_order_quantity(case: Case) -> Denial | None:
    """Deny more shares in one order than the fat-finger limit."""
    limit = case.limits.strategy.max_order_quantity
    if case.intent.quantity <= limit:
        return None
    return Denial(
        DenialCode.FAT_FINGER_QUANTITY,
        f"{case.intent.quantity:f} shares in one order",
        limit=f"{limit.normalize():f}",
        observed=f"{case.intent.quantity:f}",
    )


def check_order_notional(case: Case) -> Denial | None:
    """Deny more value in one order than the fat-finger limit (account currency)."""
    limit = case.limits.strategy.max_order_notional
    if case.notional <= limit:
        return None
    return Denial(
        DenialCode.FAT_FINGER_NOTIONAL,
        f"one order over {case.notional:.2f}",
        limit=f"{limit.normalize():f}",
        observed=f"{case.notional:.2f}",
    )


def check_volume_share(case: Case) -> Denial | None:
    """Deny an order above its share of the average daily volume (%); without a volume nothing can be judged."""
    volume = case.instrument.average_daily_volume if case.instrument else None
    limit = case.limits.strategy.max_order_adv_pct
    if volume is None or volume <= 0:
        return Denial(
            DenialCode.ADV_LIMIT,
            f"the average daily volume of {case.intent.symbol} is not known",
            limit=f"{limit.normalize():f}%",
            observed="unknown",
        )
    share = case.intent.quantity * HUNDRED / volume
    if share <= limit:
        return None
    return Denial(
        DenialCode.ADV_LIMIT,
        f"{share:.2f}% of the average daily volume",
        limit=f"{limit.normalize():f}%",
        observed=f"{share:.2f}%",
    )
