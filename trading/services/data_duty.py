"""Have the worker keep the ticks and put features into the cache before they are needed: no work for the clock."""

from datetime import datetime

from django.conf import settings

from execution.models import Account
from marketdata import calendar
from marketdata.lake import default_lake
from marketdata.types import Timeframe
from trading.tasks import enqueue

_asked: dict[str, tuple[str, str, str]] = {}
"""Lake, session and stamp of its bars that features were asked for last; a new process asks once more, to no harm."""


def ask_for_tick_keeping(account: Account, wall_now: datetime) -> None:
    """Have old ticks deleted and those of past days put together."""
    enqueue("keep_ticks", account.pk)


def ask_for_features(account: Account, wall_now: datetime) -> None:
    """While the market is closed: ask once for the last session, and again when its bars have changed."""
    at = account.feed.market_now(wall_now)
    if calendar.is_open(at):
        return
    session = calendar.last_closed_session(at)
    stamp = default_lake().stamp(Timeframe.DAY, calendar.previous_session(session), session)
    wanted = (str(settings.LAKE_DIR), session.isoformat(), stamp)
    if _asked.get(account.name) != wanted:
        enqueue("precompute_features", session.isoformat())
        _asked[account.name] = wanted
