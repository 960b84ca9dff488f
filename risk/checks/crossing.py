"""What an order may not be beside our others: more than its parent, or the other side of one that rests."""

from decimal import Decimal

from risk.types import Case, Denial, DenialCode, OrderType


def check_parent(case: Case) -> Denial | None:
    """Deny a child that is larger than what its parent has left, and one of a parent that is not its own."""
    intent, left = case.intent, case.book.parent_left
    if intent.parent_id is None or (left is not None and intent.quantity <= left):
        return None
    shown = "" if left is None else f"{left.normalize():f}"
    told = f"{shown} shares are left" if shown else "it is of another account, strategy, name or side"
    return Denial(
        DenialCode.PARENT_EXCEEDED,
        f"the parent's children may not exceed it: {told}",
        limit=shown or "its own parent",
        observed=f"{intent.quantity:f}",
    )


def check_self_trade(case: Case) -> Denial | None:
    """Deny an order that would trade with a resting limit order of the account, whatever strategy has it.

    A limit reaches to its price, a market order to the best price of the other side, or the last where none is told; a
    stop is asked when it is triggered, by nobody. An order that reduces passes: the broker may refuse it, we do not.
    """
    resting, reach = case.book.opposite_price, _reach(case)
    if resting is None or reach is None or case.reduces or not case.limits.strategy.self_trade_prevention:
        return None
    if (reach - resting) * case.intent.sign < 0:
        return None
    other = "sell" if case.intent.sign > 0 else "buy"
    return Denial(
        DenialCode.SELF_TRADE,
        f"it would meet the account's own {other} order at {resting.normalize():f}: cancel that one first",
        limit=f"{'below' if case.intent.sign > 0 else 'above'} {resting.normalize():f}",
        observed=f"{reach.normalize():f}",
        scope="account",
    )


def _reach(case: Case) -> Decimal | None:
    intent, price = case.intent, case.price
    if intent.order_type == OrderType.LIMIT:
        return intent.limit_price
    if intent.order_type != OrderType.MARKET or price is None:
        return None
    side = price.ask if intent.sign > 0 else price.bid
    return price.last if side is None else side
