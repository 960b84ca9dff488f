"""Bars of the last session for a desk at a broker: strategies decide on them, and nobody imports them by hand."""

from datetime import date, datetime, timedelta

import polars as pl
import structlog

from execution.models import Account
from marketdata import calendar
from marketdata.errors import MarketDataError
from marketdata.lake import default_lake
from marketdata.models import Instrument
from marketdata.providers.alpaca.configuration import configured
from marketdata.providers.alpaca.history import AlpacaHistory
from marketdata.providers.alpaca.rest import AlpacaRest
from marketdata.services.history import import_history
from marketdata.types import Timeframe

log = structlog.get_logger(__name__)

BEGIN_BEFORE_OPEN = timedelta(minutes=60)
GIVE_UP_BEFORE_OPEN = timedelta(minutes=2)
CATCH_UP_SESSIONS = 20
"""A desk that was away for longer than this many sessions imports the rest by hand."""


def bars_are_due(market_at: datetime) -> bool:
    """Tell whether it is the hour before an open and a tradable instrument has no bar of the session before it."""
    day = calendar.trading_date(market_at)
    opening = calendar.session_open(day)
    if not opening - BEGIN_BEFORE_OPEN <= market_at < opening - GIVE_UP_BEFORE_OPEN:
        return False
    return bool(symbols_without_bar(calendar.previous_session(day)))


def symbols_without_bar(session: date) -> list[str]:
    """Return the tradable symbols of which the lake has no daily bar of the session."""
    symbols = list(Instrument.objects.filter(tradable=True).order_by("symbol").values_list("symbol", flat=True))
    bars = default_lake().scan(Timeframe.DAY, symbols=symbols, start=session, end=session)
    stored = set(bars.select(pl.col("symbol").unique()).collect()["symbol"])
    return [symbol for symbol in symbols if symbol not in stored]


def import_session_bars(*, account: Account, wall_now: datetime) -> int:
    """Import what is missing of the last sessions, with splits and dividends; return the bars that are new.

    :raises MarketDataError: the source refuses or cannot be read; asked again by the schedule
    """
    now = account.feed.market_now(wall_now)
    last = calendar.previous_session(calendar.trading_date(now))
    missing = symbols_without_bar(last)
    if not missing:
        return 0
    notices: list[str] = []
    rest = AlpacaRest(configured())
    try:
        provider = AlpacaHistory(rest, now=now, feed="sip", timeframe=Timeframe.DAY, on_notice=notices.append)
        first = sessions_back(last, CATCH_UP_SESSIONS)
        report = import_history(provider=provider, symbols=missing, first=first, last=last, now=now)
    except MarketDataError as error:
        log.warning("session_bars_not_imported", session=last.isoformat(), reason=str(error))
        raise
    finally:
        rest.close()
    log.info("session_bars_imported", session=last.isoformat(), bars=report.bars.written.inserted, notices=notices)
    return report.bars.written.inserted


def sessions_back(session: date, count: int) -> date:
    """Return the session so many before another."""
    for _ in range(count):
        session = calendar.previous_session(session)
    return session
