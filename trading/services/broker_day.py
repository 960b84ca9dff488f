"""Carry the desk of a broker through its day: corporate actions and volumes before the open, the books after the close.

Fills, cancels and rejections come by the broker's own reports. Each boundary is passed exactly once and in order, as
with a replay: how far the desk has come is stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from execution.models import Account, Order
from execution.services.corporate_actions import apply_corporate_actions
from execution.services.sessions import close_session
from execution.states import OPEN
from marketdata import calendar
from marketdata.clock import BEFORE_OPEN, NEW_YORK
from marketdata.models import CorporateAction, Feed, Quote
from marketdata.services.quotes import store_quotes
from marketdata.services.volumes import store_feed_volumes
from marketdata.tape import AFTER_SPLIT
from marketdata.types import QuoteUpdate
from risk.types import TimeInForce
from trading.services.market_day import splits_of
from trading.services.stream import Boundary, Step, boundaries, progress_of, save_progress

SETTLE_SECONDS = 10
"""How long (wall time) the books wait after the close for the reports of the closing auction and of what expired."""
TICK = Decimal("0.01")

LatestQuotes = Callable[[], Sequence[QuoteUpdate]]


@dataclass(slots=True)
class BrokerDay:
    """The day of one account; `latest_quotes` asks the market for its newest prices."""

    account: Account
    latest_quotes: LatestQuotes
    closing_seen_at: dict[date, datetime] = field(default_factory=dict)

    def step(self, *, feed: Feed, wall_now: datetime) -> Step:
        """Pass the boundaries up to the feed's market time. Locks: as the services it calls, none across them."""
        market_at = feed.market_now(wall_now)
        self.account.feed = feed
        progress = progress_of(feed, start=start_of_day(market_at))
        passed: list[tuple[date, Boundary]] = []
        for at, day, boundary in list(boundaries(progress.processed_at, market_at)):
            if not self._cross(feed, day, boundary, wall_now):
                return Step(market_at, (), passed)
            save_progress(progress, at)
            passed.append((day, boundary))
        if market_at > progress.processed_at:
            save_progress(progress, market_at)
        return Step(market_at, (), passed)

    def _cross(self, feed: Feed, day: date, boundary: Boundary, wall_now: datetime) -> bool:
        """Do what belongs to a boundary; False when it has to wait."""
        if boundary == Boundary.BEFORE_OPEN:
            self._before_open(feed, day, wall_now)
        elif boundary == Boundary.CLOSE:
            return self._close(feed, day, wall_now)
        return True

    def _before_open(self, feed: Feed, day: date, wall_now: datetime) -> None:
        actions = list(CorporateAction.objects.filter(ex_date=day).select_related("instrument").order_by("pk"))
        if actions:
            apply_corporate_actions(account=self.account, day=day, wall_now=wall_now)
        quotes = in_new_shares(self.latest_quotes(), splits_of(actions), day)
        store_quotes(feed=feed, quotes=quotes, wall_now=wall_now)
        known = list(Quote.objects.filter(feed=feed).values_list("instrument__symbol", flat=True))
        store_feed_volumes(feed=feed, symbols=known, as_of=calendar.previous_session(day))

    def _close(self, feed: Feed, day: date, wall_now: datetime) -> bool:
        seen_at = self.closing_seen_at.setdefault(day, wall_now)
        patient = wall_now - seen_at < timedelta(seconds=SETTLE_SECONDS)
        if patient and day_orders_open(self.account, day):
            return False
        store_quotes(feed=feed, quotes=self.latest_quotes(), wall_now=wall_now)
        close_session(account=self.account, day=day, wall_now=wall_now)
        del self.closing_seen_at[day]
        return True


def start_of_day(market_at: datetime) -> datetime:
    """Return where a desk that is new at this market time begins: with the session under way, or the next one."""
    day = calendar.trading_date(market_at)
    return min(calendar.session_open(day) - BEFORE_OPEN, market_at)


def day_orders_open(account: Account, day: date) -> bool:
    """Tell whether an order that was good for the session has not ended yet: its last report is still on its way."""
    open_orders = Order.objects.filter(account=account, status__in=sorted(OPEN), trading_date__lte=day)
    return open_orders.exclude(time_in_force=TimeInForce.GTC).exists()


def in_new_shares(quotes: Sequence[QuoteUpdate], splits: dict[str, Decimal], day: date) -> list[QuoteUpdate]:
    """Return quotes with those of before the day put into today's shares, unless their source has done so."""
    return [
        _divided(quote, splits[quote.symbol]) if quote.symbol in splits and _is_of_before(quote, day) else quote
        for quote in quotes
    ]


def _is_of_before(quote: QuoteUpdate, day: date) -> bool:
    """Say whether a quote is in old shares: trading before the open of the ex-date is in new ones already."""
    return quote.at.astimezone(NEW_YORK).date() < day and not quote.source.endswith(AFTER_SPLIT)


def _divided(quote: QuoteUpdate, ratio: Decimal) -> QuoteUpdate:
    def divide(price: Decimal | None) -> Decimal | None:
        return None if price is None else (price / ratio).quantize(TICK, ROUND_HALF_EVEN)

    last, bid, ask = divide(quote.last), divide(quote.bid), divide(quote.ask)
    return replace(quote, last=last, bid=bid, ask=ask, source="close, after split")
