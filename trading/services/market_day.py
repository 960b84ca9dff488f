"""The parts of one session for one account on stored bars: before the open, opening auction, closing auction, books.

Replays call them one after the other, the stream calls them when its market time passes them. Each may be repeated:
what was done is not done again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from execution.brokers.base import Broker
from execution.brokers.paper import PaperBroker
from execution.brokers.registry import broker_for
from execution.matching.events import MarketEvent
from execution.models import Account
from execution.services.corporate_actions import apply_corporate_actions
from execution.services.dispatch import dispatch_once
from execution.services.reports import apply_reports
from execution.services.sessions import close_session
from marketdata import calendar
from marketdata.models import CorporateAction
from marketdata.providers.replay import ReplayProvider
from marketdata.services.quotes import store_quotes
from marketdata.services.volumes import store_feed_volumes
from marketdata.types import ActionKind, QuoteUpdate
from trading.services.exchange import (
    closing_events,
    closing_quotes,
    opening_events,
    opening_quotes,
)

TICK = Decimal("0.01")
DISPATCH_BATCH = 500
MAX_DISPATCH_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Desk:
    """An account with its broker and the bars that make its market; `account.feed` is the feed that is moved."""

    account: Account
    broker: Broker
    provider: ReplayProvider

    @classmethod
    def of(cls, account: Account, provider: ReplayProvider) -> "Desk":
        """Return the desk of an account with the broker that serves it."""
        return cls(account, broker_for(account), provider)


def before_open(desk: Desk, day: date, wall_now: datetime) -> None:
    """Carry the day's corporate actions into both books, and set the prices that the morning decides on."""
    actions = _actions(day)
    if actions:
        apply_corporate_actions(account=desk.account, day=day, wall_now=wall_now)
        _tell_exchange(desk, actions, day, wall_now)
    quotes = reference_quotes(desk.provider, day, splits_of(actions))
    store_quotes(feed=desk.account.feed, quotes=quotes, wall_now=wall_now)
    known = [quote.symbol for quote in quotes]
    store_feed_volumes(feed=desk.account.feed, symbols=known, as_of=calendar.previous_session(day))


def hold_opening(desk: Desk, day: date, wall_now: datetime) -> None:
    """Print the opening prices, hold the auction, book its fills."""
    store_quotes(feed=desk.account.feed, quotes=opening_quotes(desk.provider, day), wall_now=wall_now)
    advance(desk, opening_events(desk.provider, day), wall_now)


def hold_closing(desk: Desk, day: date, wall_now: datetime) -> None:
    """Print the closing prices, hold the auction, expire what was good for the day, book it all."""
    store_quotes(feed=desk.account.feed, quotes=closing_quotes(desk.provider, day), wall_now=wall_now)
    advance(desk, closing_events(desk.provider, day), wall_now)


def close_books(desk: Desk, day: date, wall_now: datetime) -> None:
    """Write the closing rows of the session at the prices that are stored now."""
    close_session(account=desk.account, day=day, wall_now=wall_now)


def advance(desk: Desk, events: Sequence[MarketEvent], wall_now: datetime) -> int:
    """Tell the built-in exchange what the market did and book what it reports; returns the number of reports."""
    if not isinstance(desk.broker, PaperBroker) or not desk.broker.advance(events):
        return 0
    return apply_reports(account=desk.account, broker=desk.broker, wall_now=wall_now)


def dispatch_all(desk: Desk, wall_now: datetime) -> None:
    """Send everything that waits.

    :raises RuntimeError: orders keep coming back unsent
    """
    for _ in range(MAX_DISPATCH_ROUNDS):
        report = dispatch_once(account=desk.account, broker=desk.broker, wall_now=wall_now, limit=DISPATCH_BATCH)
        if report.sent + report.denied + report.expired + report.dry_run < DISPATCH_BATCH:
            return
    raise RuntimeError(f"{MAX_DISPATCH_ROUNDS} rounds of dispatch did not empty the queue of {desk.account.name}")


def reference_quotes(provider: ReplayProvider, day: date, splits: Mapping[str, Decimal]) -> list[QuoteUpdate]:
    """Return the last closes, put into today's shares where a split becomes effective.

    Without that, a position of twice the shares would be valued at the old price until the open.
    """
    quotes = closing_quotes(provider, calendar.previous_session(day))
    return [_in_new_shares(quote, splits[quote.symbol]) if quote.symbol in splits else quote for quote in quotes]


def splits_of(actions: Sequence[CorporateAction]) -> dict[str, Decimal]:
    """Return new shares for an old one, by symbol."""
    return {
        action.instrument.symbol: action.ratio
        for action in actions
        if action.kind == ActionKind.SPLIT and action.ratio is not None
    }


def _actions(day: date) -> list[CorporateAction]:
    return list(CorporateAction.objects.filter(ex_date=day).select_related("instrument").order_by("pk"))


def _tell_exchange(desk: Desk, actions: Sequence[CorporateAction], day: date, wall_now: datetime) -> None:
    if not isinstance(desk.broker, PaperBroker):
        return
    at = desk.account.feed.market_now(wall_now)
    for action in actions:
        symbol = action.instrument.symbol
        if action.ratio is not None:
            desk.broker.apply_split(symbol, action.ratio, day, at=at)
        elif action.cash_amount is not None:
            desk.broker.pay_dividend(symbol, action.cash_amount, day)
    apply_reports(account=desk.account, broker=desk.broker, wall_now=wall_now)


def _in_new_shares(quote: QuoteUpdate, ratio: Decimal) -> QuoteUpdate:
    if quote.last is None:
        return quote
    return replace(quote, last=(quote.last / ratio).quantize(TICK, ROUND_HALF_EVEN), source="close, after split")
