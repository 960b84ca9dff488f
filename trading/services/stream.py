"""Carry a replayed feed through market time: quotes into the book, events to the built-in exchange, fills back.

Each open and close is held exactly once and in order, however long the stream was away: how far it has come is
stored, and what lies between that and now is worked through first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import IntEnum

from execution.models import Account
from marketdata import calendar
from marketdata.clock import BEFORE_OPEN
from marketdata.models import Feed
from marketdata.providers.replay import ReplayProvider
from marketdata.services.feeds import record_tick
from marketdata.services.quotes import store_quotes
from marketdata.types import QuoteUpdate
from trading.models import FeedProgress
from trading.services.exchange import ticks
from trading.services.market_day import (
    Desk,
    advance,
    before_open,
    close_books,
    hold_closing,
    hold_opening,
)

SIMULATED = (Account.Mode.PAPER, Account.Mode.DRY_RUN)
"""Modes whose market is the replay itself."""


class Boundary(IntEnum):
    """Moments of a session at which something has to be done."""

    BEFORE_OPEN = 0
    OPEN = 1
    CLOSE = 2


@dataclass(frozen=True, slots=True)
class Step:
    """What one round did: market time, the quotes that were stored, the boundaries that were passed."""

    market_at: datetime
    quotes: Sequence[QuoteUpdate] = ()
    passed: list[tuple[date, Boundary]] = field(default_factory=list)


def step(*, feed: Feed, provider: ReplayProvider, wall_now: datetime) -> Step:
    """Bring the feed's accounts up to its market time. Locks: as the services it calls, none across them."""
    market_at = feed.market_now(wall_now)
    progress = progress_of(feed)
    desks = [
        Desk.of(account, provider) for account in Account.objects.filter(feed=feed, mode__in=SIMULATED).order_by("pk")
    ]
    for desk in desks:
        desk.account.feed = feed
    passed = list(boundaries(progress.processed_at, market_at))
    for at, day, boundary in passed:
        for desk in desks:
            _cross(desk, day, boundary, wall_now)
        save_progress(progress, at)
    quotes = _tick(feed, desks, provider, progress.processed_at, market_at, wall_now)
    if market_at > progress.processed_at:
        save_progress(progress, market_at)
    record_tick(feed=feed, wall_now=wall_now)
    return Step(market_at, quotes, [(day, boundary) for _, day, boundary in passed])


def boundaries(after: datetime, until: datetime) -> Iterator[tuple[datetime, date, Boundary]]:
    """Yield instant, session and kind of each boundary later than `after` and not later than `until`, in order."""
    first = calendar.previous_session(after.date())
    for day in calendar.sessions_between(first, (until + timedelta(days=1)).date()):
        opening = calendar.session_open(day)
        for at, boundary in (
            (opening - BEFORE_OPEN, Boundary.BEFORE_OPEN),
            (opening, Boundary.OPEN),
            (calendar.session_close(day), Boundary.CLOSE),
        ):
            if after < at <= until:
                yield at, day, boundary


def _cross(desk: Desk, day: date, boundary: Boundary, wall_now: datetime) -> None:
    if boundary == Boundary.BEFORE_OPEN:
        before_open(desk, day, wall_now)
    elif boundary == Boundary.OPEN:
        hold_opening(desk, day, wall_now)
    else:
        hold_closing(desk, day, wall_now)
        close_books(desk, day, wall_now)


def _tick(
    feed: Feed,
    desks: Sequence[Desk],
    provider: ReplayProvider,
    after: datetime,
    until: datetime,
    wall_now: datetime,
) -> Sequence[QuoteUpdate]:
    """Store the quotes of an open market and tell them to the exchange; a closed market has none."""
    if until <= after or not calendar.is_open(until):
        return ()
    quotes = provider.quotes_at(until)
    store_quotes(feed=feed, quotes=quotes, wall_now=wall_now)
    events = ticks(provider, quotes, after=after, until=until)
    for desk in desks:
        advance(desk, events, wall_now)
    return quotes


def progress_of(feed: Feed, *, start: datetime | None = None) -> FeedProgress:
    """Return how far the feed has come; a new one stands right before `start`, of None before the feed's own."""
    start = start or feed.start_at or feed.market_at
    if start is None:
        raise ValueError(f"feed {feed.name} has no start")
    progress, _ = FeedProgress.objects.get_or_create(
        feed_name=feed.name, defaults={"processed_at": start - timedelta(microseconds=1)}
    )
    return progress


def save_progress(progress: FeedProgress, at: datetime) -> None:
    """Store how far the feed has come; never backward."""
    progress.processed_at = at
    FeedProgress.objects.filter(pk=progress.pk, processed_at__lt=at).update(processed_at=at)
