"""Play the desk's feed: prices into the database, the market to the built-in exchange, price news to browsers."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from django.conf import settings

from execution.selectors import desk_account
from marketdata.clock import wall_now
from marketdata.models import Feed
from marketdata.types import QuoteUpdate
from trading.management.worker import WorkerCommand
from trading.services.carriers import BrokerCarrier, Carrier, ReplayCarrier
from trading.services.stream import Step

log = structlog.get_logger(__name__)

CHANNEL = "portcullis:prices"


class Command(WorkerCommand):
    """Every quarter of a second: where is the market, what happened since, who has to know."""

    help = (
        "Carry the desk's market data feed: stored bars into the book and to the built-in exchange, or, "
        "where the broker is on a network, its live market into the book."
    )
    name = "stream"
    pause = timedelta(milliseconds=250)

    carrier: Carrier | None = None
    last: Step | None = None
    redis_away = False

    def start(self) -> None:
        """Open the market and the way to Redis; after a failure anew."""
        self._hang_up()
        self.redis = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
        self.carrier = self._carrier()

    def round(self) -> None:
        """Carry the feed to now."""
        if self.carrier is None:
            self.carrier = self._carrier()
        if self.carrier is not None:
            self.last = self.carrier.round(wall_now())

    def finish(self) -> None:
        """Say that nobody listens to the market any more."""
        self._hang_up()

    def detail(self) -> dict[str, Any]:
        """Tell the market time that was reached, and whether Redis takes the prices."""
        reached = None if self.last is None else self.last.market_at.isoformat()
        return {"market_at": reached, "redis": "away" if self.redis_away else "up"}

    def _carrier(self) -> Carrier | None:
        """Return who carries this desk's market; nobody before the desk has been made."""
        if not settings.BROKER_MODE:
            return ReplayCarrier(self.publish)
        account = desk_account(str(settings.TRADING_MODE))
        return None if account is None else BrokerCarrier(account, self.publish)

    def _hang_up(self) -> None:
        if self.carrier is not None:
            self.carrier.stop()
            self.carrier = None

    def publish(self, feed: Feed, quotes: Sequence[QuoteUpdate], market_at: datetime) -> None:
        """Send the batch; without Redis browsers ask the database instead, so that is noted once and not an error."""
        try:
            self.redis.publish(CHANNEL, json.dumps(batch(feed, quotes, market_at), separators=(",", ":")))
        except redis.RedisError as error:
            if not self.redis_away:
                log.warning("prices_not_published", reason=str(error))
            self.redis_away = True
        else:
            self.redis_away = False


def batch(feed: Feed, quotes: Sequence[QuoteUpdate], market_at: datetime) -> dict[str, Any]:
    """Return one message: the market's time and each quote, prices as text."""
    return {
        "type": "prices",
        "feed": feed.name,
        "market_at": market_at.isoformat(),
        "quotes": [
            {
                "symbol": quote.symbol,
                "last": _text(quote.last),
                "bid": _text(quote.bid),
                "ask": _text(quote.ask),
                "at": quote.at.isoformat(),
            }
            for quote in quotes
        ],
    }


def _text(price: Any) -> str | None:
    return None if price is None else f"{price:.2f}"
