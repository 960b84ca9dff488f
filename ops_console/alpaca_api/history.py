"""The account's equity over time, from the closed sessions and the moment."""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from django.db.models import QuerySet

from execution.alpaca_wire.errors import malformed, unprocessable
from execution.models import Account, AccountDay
from execution.selectors import account_summary, daily_performance
from marketdata import calendar
from marketdata.clock import NEW_YORK

SHARE_STEP = Decimal("0.000001")
ZERO = Decimal(0)
PERIOD = re.compile(r"([1-9][0-9]{0,3})([DWMA])")
DAYS = {"D": 1, "W": 7, "M": 31, "A": 366}
TIMEFRAMES = ("", "1D")


def first_day(period: str, last: date) -> date:
    """Return the first day of a period such as 1M that ends on `last`.

    :raises WireError: 422, another form
    """
    form = PERIOD.fullmatch(period)
    if form is None:
        raise malformed("period", period, "a number and D, W, M or A, e.g. 1M")
    days = int(form[1]) * DAYS[form[2]]
    return date.min if days >= last.toordinal() else last - timedelta(days=days)


def history_told(
    account: Account, *, wall_now: datetime, timeframe: str, start: date | None, end: date | None
) -> dict[str, Any]:
    """Return the equity at each close from start to end, and now; timestamps are UNIX seconds.

    Profit counts from the equity before the first of them.
    :raises WireError: 422, a timeframe within the day, of which nothing is kept
    """
    if timeframe not in TIMEFRAMES:
        raise unprocessable(f"timeframe: {timeframe[:10]!r} is not allowed; 1D is: equity is kept at each close")
    summary = account_summary(account, wall_now)
    days = list(cast(QuerySet[AccountDay], daily_performance(account, start=start, end=end)))
    points = [(int(calendar.session_close(row.date).timestamp()), row.equity) for row in days]
    today = summary.market_at.astimezone(NEW_YORK).date()
    closed = bool(days) and days[-1].date >= today
    if not closed and (start is None or today >= start) and (end is None or today <= end):
        points.append((int(summary.market_at.timestamp()), summary.equity))
    base = days[0].equity - days[0].pnl if days else summary.day_base_equity
    return {
        "timestamp": [second for second, _ in points],
        "equity": [equity for _, equity in points],
        "profit_loss": [equity - base for _, equity in points],
        "profit_loss_pct": [((equity - base) / base).quantize(SHARE_STEP) if base else ZERO for _, equity in points],
        "base_value": base,
        "timeframe": "1D",
        "cashflow": {},
    }
