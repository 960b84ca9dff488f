"""Where Alpaca's market data is, and who we are there."""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings

from marketdata.errors import LiveSourceNotConfigured

REST_URL = "https://data.alpaca.markets"
STREAM_URL = "wss://stream.data.alpaca.markets"
FEEDS = ("iex", "sip")


@dataclass(frozen=True, slots=True)
class AlpacaData:
    """Keys, addresses and the feed: `iex` is one exchange, free; `sip` all of them, paid for.

    `stream_url` is complete, with the feed at its end.
    """

    key_id: str
    secret: str
    rest_url: str = REST_URL
    stream_url: str = f"{STREAM_URL}/v2/iex"
    feed: str = "iex"

    def on_feed(self, feed: str) -> "AlpacaData":
        """Return the same on another feed."""
        return replace(self, feed=feed, stream_url=f"{self.stream_url.rpartition('/')[0]}/{feed}")


def configured() -> AlpacaData:
    """Return what the settings say; the stream is at the host of the data, where only that is given.

    :raises LiveSourceNotConfigured: no keys
    """
    key_id, secret = str(settings.ALPACA_API_KEY_ID), str(settings.ALPACA_API_SECRET_KEY)
    if not key_id or not secret:
        raise LiveSourceNotConfigured("ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY are needed for Alpaca's market data")
    feed = str(settings.ALPACA_DATA_FEED)
    rest_url = str(settings.ALPACA_DATA_URL).rstrip("/")
    stream_url = str(settings.ALPACA_DATA_STREAM_URL).rstrip("/") or _stream_beside(rest_url)
    if stream_url.rpartition("/")[2] not in FEEDS:
        stream_url = f"{stream_url}/v2/{feed}"
    return AlpacaData(key_id, secret, rest_url or REST_URL, stream_url, feed).on_feed(feed)


def _stream_beside(rest_url: str) -> str:
    if not rest_url or rest_url == REST_URL:
        return STREAM_URL
    scheme, host, *_ = urlsplit(rest_url)
    return urlunsplit(("ws" if scheme == "http" else "wss", host, "", "", ""))
