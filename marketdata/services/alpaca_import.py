"""Bring the past in from Alpaca with the keys of the settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from marketdata.errors import FeedMissingError
from marketdata.providers.alpaca.configuration import configured
from marketdata.providers.alpaca.history import AlpacaHistory
from marketdata.providers.alpaca.rest import AlpacaRest
from marketdata.selectors import default_feed
from marketdata.services.history import HistoryReport, import_history
from marketdata.types import Timeframe


@dataclass(slots=True)
class AlpacaReport:
    """What came in, under which source, and what Alpaca did not give as asked."""

    source: str
    history: HistoryReport
    notices: list[str] = field(default_factory=list)


def import_from_alpaca(
    *,
    symbols: Sequence[str],
    first: date,
    last: date | None,
    wall_now: datetime,
    timeframe: str = Timeframe.DAY,
    feed: str = "sip",
    again: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> AlpacaReport:
    """Import bars, splits and dividends up to the desk's market time; progress is told in pieces.

    :raises MarketDataError: no keys, a strange symbol, no closed session in the range, or Alpaca refuses
    """
    notices: list[str] = []
    now = wall_now
    try:
        now = default_feed().market_now(wall_now)
    except FeedMissingError:
        notices.append("there is no desk yet: bars are read up to now")
    rest = AlpacaRest(configured())
    try:
        provider = AlpacaHistory(rest, now=now, feed=feed, timeframe=timeframe, on_notice=notices.append)
        report = import_history(
            provider=provider,
            symbols=symbols,
            first=first,
            last=last,
            now=now,
            timeframe=timeframe,
            again=again,
            on_progress=on_progress,
        )
    finally:
        rest.close()
    return AlpacaReport(provider.name, report, notices)
