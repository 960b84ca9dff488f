"""Splits that have become effective: the morning of their ex-date, when the book is put into new shares as well."""

from collections import defaultdict
from datetime import date, datetime, time, timedelta

from marketdata.calendar import previous_session, session_open, trading_date
from marketdata.clock import BEFORE_OPEN, NEW_YORK
from marketdata.models import CorporateAction
from marketdata.tape import ShareChange, Splits
from marketdata.types import ActionKind

REMEMBERED = timedelta(days=10)
"""A name that has not traded for longer than this after its split has no price to use anyway."""


def effective_day(market_at: datetime) -> date:
    """Return the newest session whose corporate actions are in force."""
    day = trading_date(market_at)
    return day if market_at >= session_open(day) - BEFORE_OPEN else previous_session(day)


def effective_splits(day: date) -> Splits:
    """Return the splits of the last ten days up to a session, in force since midnight of their ex-date in New York."""
    rows = CorporateAction.objects.filter(kind=ActionKind.SPLIT, ex_date__gt=day - REMEMBERED, ex_date__lte=day)
    found: dict[str, list[ShareChange]] = defaultdict(list)
    for symbol, ex_date, ratio in rows.order_by("ex_date").values_list("instrument__symbol", "ex_date", "ratio"):
        if ratio is not None:
            found[symbol].append(ShareChange(datetime.combine(ex_date, time(), NEW_YORK), ratio))
    return dict(found)
