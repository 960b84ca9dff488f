"""Who carries the desk's market forward: the replay of stored bars, or a broker's live market.

A carrier is started once, does a round every quarter of a second, and is stopped. Prices are told to `Publish` as they
are stored.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from execution.brokers.base import BrokerError
from execution.brokers.registry import alpaca_broker_for
from execution.models import Account, Order, Position
from execution.services.broker_link import note_account
from execution.states import OPEN
from marketdata.clock import wall_now as read_wall_clock
from marketdata.errors import MarketDataError
from marketdata.lake import default_lake
from marketdata.models import Feed, Instrument
from marketdata.providers.replay import ReplayProvider
from marketdata.selectors import default_feed
from marketdata.services.feeds import set_feed_state
from marketdata.services.live import live_market, poll_latest_quotes
from marketdata.services.subscriptions import hold, wanted_symbols
from marketdata.types import FeedState, QuoteUpdate, SubscriptionSource
from trading.services.broker_day import BrokerDay
from trading.services.broker_desk import follow_broker_clock
from trading.services.stream import Step, step

log = structlog.get_logger(__name__)

CLOCK_EVERY = timedelta(seconds=2)
SUBSCRIBE_EVERY = timedelta(seconds=1)
UNIVERSE = "universe"
MOST_WATCHED = 1_000
"""Instruments of the universe that are streamed; positions and open orders come on top."""

Publish = Callable[[Feed, Sequence[QuoteUpdate], datetime], None]


class Carrier(Protocol):
    """Carries a desk's feed."""

    def round(self, wall_now: datetime) -> Step:
        """Do what is due."""
        ...

    def stop(self) -> None:
        """Say that nobody listens to the market any more."""
        ...


class ReplayCarrier:
    """Plays stored bars to the feed and to the built-in exchange."""

    def __init__(self, publish: Publish) -> None:
        self._provider = ReplayProvider(default_lake())
        self._publish = publish

    def round(self, wall_now: datetime) -> Step:
        """Carry the feed to now and tell its prices."""
        feed = default_feed()
        done = step(feed=feed, provider=self._provider, wall_now=wall_now)
        if done.quotes:
            self._publish(feed, done.quotes, done.market_at)
        return done

    def stop(self) -> None:
        """Mark the feed as down."""
        set_feed_state(feed=default_feed(), state=FeedState.DOWN)


class BrokerCarrier:
    """Listens to a broker's market, follows its clock, and takes the desk through its day.

    Subscribed are the positions, the open orders and the universe that strategies choose from.
    """

    def __init__(self, account: Account, publish: Publish) -> None:
        self._account = account
        self._broker = alpaca_broker_for(account)
        self._clock_at: datetime | None = None
        self._subscribed_at: datetime | None = None
        feed = default_feed()
        self._day = BrokerDay(account, self._latest_quotes)
        self._market = live_market(
            feed=feed, clock=read_wall_clock, on_quotes=lambda quotes, at: publish(feed, quotes, at)
        )
        self._subscribe(feed, read_wall_clock())
        self._market.start()

    def round(self, wall_now: datetime) -> Step:
        """Pass the boundaries of the day, with the clock and the subscriptions of now.

        :raises LiveMarketBroken: nobody listens any more; start anew
        """
        self._market.check()
        if self._clock_at is None or wall_now - self._clock_at >= CLOCK_EVERY:
            self._clock_at = wall_now
            self._follow_clock(wall_now)
        feed = default_feed()
        if self._subscribed_at is None or wall_now - self._subscribed_at >= SUBSCRIBE_EVERY:
            self._subscribed_at = wall_now
            self._subscribe(feed, wall_now)
        return self._day.step(feed=feed, wall_now=wall_now)

    def stop(self) -> None:
        """Hang up; the feed is marked as down."""
        self._market.stop()

    def _follow_clock(self, wall_now: datetime) -> None:
        """Keep the feed at the broker's time and note by how much its clock differs from ours."""
        try:
            clock = self._broker.clock()
        except BrokerError as error:
            log.warning("broker_clock_not_read", account=self._account.name, reason=error.reason)
            return
        now = read_wall_clock()
        feed = follow_broker_clock(clock=clock, wall_now=now)
        ahead = clock.at - feed.market_now(wall_now + (now - wall_now) / 2)
        milliseconds = ahead / timedelta(milliseconds=1) / (int(feed.speed) or 1)
        note_account(account_id=self._account.pk, wall_now=now, clock_skew_milliseconds=round(milliseconds))

    def _subscribe(self, feed: Feed, wall_now: datetime) -> None:
        universe = Instrument.objects.filter(tradable=True).order_by("symbol")[:MOST_WATCHED]
        held = Position.objects.filter(account=self._account).exclude(quantity=0)
        working = Order.objects.filter(account=self._account, status__in=sorted(OPEN))
        for source, holder, symbols in (
            (SubscriptionSource.WATCH_LIST, UNIVERSE, universe.values_list("symbol", flat=True)),
            (SubscriptionSource.POSITION, self._account.name, held.values_list("instrument__symbol", flat=True)),
            (SubscriptionSource.OPEN_ORDER, self._account.name, working.values_list("instrument__symbol", flat=True)),
        ):
            hold(feed=feed, source=source, holder=holder, symbols=symbols, wall_now=wall_now)

    def _latest_quotes(self) -> Sequence[QuoteUpdate]:
        """Ask for the newest prices; without an answer the day goes on with those that are stored, at their own age."""
        feed = default_feed()
        try:
            return poll_latest_quotes(feed, wanted_symbols(feed), read_wall_clock())
        except MarketDataError as error:
            log.warning("latest_quotes_not_read", feed=feed.name, reason=str(error))
            return ()
