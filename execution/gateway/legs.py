"""The case of a leg: the account as it will be when its entry has filled."""

from dataclasses import replace
from decimal import Decimal

from risk.types import Case, Exposure, OrderIntent, PortfolioSnapshot, Totals

ZERO = Decimal(0)


def leg_case(entry: Case, leg: OrderIntent) -> Case:
    """Return the case of one leg after its entry's judgement.

    The legs of a group do not see each other, because one cancels the other; an OCO's leg does not see its first order
    for the same reason. A group is one order for the pace of orders, so the interval is not asked of its legs.
    """
    book = entry.book if entry.intent.order_class == "oco" else _after_fill(entry)
    book = replace(book, last_order_at=None, identical_count=0, run_count=0, opposite_price=None)
    return replace(entry, intent=leg, book=book, reserve_price=ZERO, loss_per_share=ZERO)


def _after_fill(entry: Case) -> PortfolioSnapshot:
    """Return the snapshot with the entry's shares held, at the mark."""
    book, shares = entry.book, entry.intent.signed_quantity
    before = book.strategy_line
    after = _holding(before, shares)
    return replace(
        book,
        strategy_line=after,
        account_line=_holding(book.account_line, shares),
        strategy_totals=_grown(book.strategy_totals, before, after),
        account_totals=_grown(book.account_totals, before, after),
    )


def _holding(line: Exposure, shares: Decimal) -> Exposure:
    return replace(line, quantity=line.quantity + shares)


def _grown(totals: Totals, before: Exposure, after: Exposure) -> Totals:
    return replace(
        totals,
        gross=totals.gross + after.worst_notional - before.worst_notional,
        net=totals.net + (after.quantity - before.quantity) * after.mark,
        names=totals.names + before.is_flat,
    )
