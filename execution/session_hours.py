"""Session hours for an exchange, from the calendar: what the matching engine is told about a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from execution.matching.events import SessionHours
from marketdata import calendar

NEW_YORK = ZoneInfo("America/New_York")
AUCTIONS_ENTERABLE_FROM = time(19)


@lru_cache(maxsize=1024)
def session_hours(day: date) -> SessionHours:
    """Return the hours of one session; auction orders for it are taken from 19:00 New York on the session before."""
    evening_before = datetime.combine(calendar.previous_session(day), AUCTIONS_ENTERABLE_FROM, tzinfo=NEW_YORK)
    return SessionHours(
        date=day,
        opens_at=calendar.session_open(day),
        closes_at=calendar.session_close(day),
        auctions_enterable_at=evening_before.astimezone(UTC),
    )


def hours_for_entry(at: datetime) -> SessionHours:
    """Return the session an order entered now is for: after a close that is the next one."""
    return session_hours(calendar.trading_date(at))


def auctions_are_taken(at: datetime) -> bool:
    """Tell whether 19:00 New York has come since the last close; from an open to its close it has."""
    return at >= session_hours(calendar.trading_date(at + timedelta(microseconds=1))).auctions_enterable_at


def hours_for_event(at: datetime) -> SessionHours:
    """Return the session of the event's New York day, also after its close; between sessions the next one."""
    day = at.astimezone(NEW_YORK).date()
    return session_hours(day if calendar.is_session(day) else calendar.next_session(day))
