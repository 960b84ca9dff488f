"""Play the desk's feed: prices into the database, the market to the built-in exchange, price news to browsers."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import redis
import structlog
from django.conf import settings

from marketdata.clock import wall_now
from marketdata.lake import default_lake
from marketdata.models import Feed
from marketdata.providers.replay import ReplayProvider
from marketdata.selectors import default_feed
from marketdata.services.feeds import set_feed_state
from marketdata.types import FeedKind, FeedState, QuoteUpdate
from trading.management.worker import WorkerCommand
from trading.services.stream import Step, step

log = structlog.get_logger(__name__)

CHANNEL = "portcullis:prices"


class Command(WorkerCommand):
    """Every quarter of a second: where is the market, what happened since, who has to know."""

    help = "Play the desk's market data feed into the book and to the built-in exchange."
    name = "stream"
    pause = timedelta(milliseconds=250)

    def start(self) -> None:
        """Open the bars and the way to Redis."""
        self.provider = ReplayProvider(default_lake())
        self.redis = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
        self.redis_away = False
        self.last: Step | None = None

    def round(self) -> None:
        """Carry the feed to now and publish its prices."""
        feed = default_feed()
        if feed.kind != FeedKind.REPLAY:
            set_feed_state(feed=feed, state=FeedState.DOWN)
            return
        self.last = step(feed=feed, provider=self.provider, wall_now=wall_now())
        if self.last.quotes:
            self._publish(feed, self.last)

    def finish(self) -> None:
        """Say that nobody listens to the market any more."""
        set_feed_state(feed=default_feed(), state=FeedState.DOWN)

    def detail(self) -> dict[str, Any]:
        """Tell the market time that was reached, and whether Redis takes the prices."""
        reached = None if self.last is None else self.last.market_at.isoformat()
        return {"market_at": reached, "redis": "away" if self.redis_away else "up"}

    def _publish(self, feed: Feed, done: Step) -> None:
        """Send the batch; without Redis browsers ask the database instead, so that is noted once and not an error."""
        try:
            self.redis.publish(CHANNEL, json.dumps(batch(feed, done), separators=(",", ":")))
        except redis.RedisError as error:
            if not self.redis_away:
                log.warning("prices_not_published", reason=str(error))
            self.redis_away = True
        else:
            self.redis_away = False


def batch(feed: Feed, done: Step) -> dict[str, Any]:
    """Return one message: the market's time and each quote, prices as text."""
    return {
        "type": "prices",
        "feed": feed.name,
        "market_at": done.market_at.isoformat(),
        "quotes": _quotes(done.quotes),
    }


def _quotes(quotes: Sequence[QuoteUpdate]) -> list[dict[str, str | None]]:
    return [
        {
            "symbol": quote.symbol,
            "last": _text(quote.last),
            "bid": _text(quote.bid),
            "ask": _text(quote.ask),
            "at": quote.at.isoformat(),
        }
        for quote in quotes
    ]


def _text(price: Any) -> str | None:
    return None if price is None else f"{price:.2f}"
