"""Corporate actions in the venue's book.

The ledger applies the same action by a service of its own, with the same arithmetic: quantity times ratio and average
price divided by it, to eight decimals, parts of a share kept (no cash in lieu); a dividend is quantity times cash a
share, paid by a short position.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from execution.brokers.paper.book import VenueBook
from execution.matching.holdings import Holding
from execution.matching.pricing import traded_value
from execution.models.paper import PaperCorporateAction, PaperPosition, PaperVenue

SPLIT_REASON = "canceled by a split"


def split_venue(*, venue: PaperVenue, symbol: str, ratio: Decimal, ex_date: date, at: datetime) -> bool:
    """Split the position and cancel the symbol's working orders; False when it was applied before. The venue is locked.

    Orders are canceled, not adjusted: their prices and quantities were decided on in old shares.
    """
    position = held_position(venue, symbol)
    action, created = venue.corporate_actions.get_or_create(
        symbol=symbol,
        kind=PaperCorporateAction.Kind.SPLIT,
        ex_date=ex_date,
        defaults={"value": ratio, "quantity_before": position.quantity},
    )
    if not created:
        return False
    holding = Holding(position.quantity, position.average_price).after_split(ratio)
    position.quantity, position.average_price = holding.quantity, holding.average_price
    if action.quantity_before:
        position.save()
    book = VenueBook(venue, symbols=[symbol])
    book.cancel_all(at=at, reason=SPLIT_REASON)
    book.save()
    return True


def pay_venue_dividend(*, venue: PaperVenue, symbol: str, per_share: Decimal, ex_date: date) -> bool:
    """Pay (a short: take) the dividend in cash; False when it was paid before. The venue is locked."""
    held = held_position(venue, symbol).quantity
    amount = traded_value(held, per_share)
    _, created = venue.corporate_actions.get_or_create(
        symbol=symbol,
        kind=PaperCorporateAction.Kind.DIVIDEND,
        ex_date=ex_date,
        defaults={"value": per_share, "quantity_before": held, "cash_amount": amount},
    )
    if created and amount:
        venue.cash += amount
        venue.save(update_fields=["cash"])
    return created


def held_position(venue: PaperVenue, symbol: str) -> PaperPosition:
    """Return the stored position, or a flat one that is not stored."""
    return venue.positions.filter(symbol=symbol).first() or PaperPosition(venue=venue, symbol=symbol)
