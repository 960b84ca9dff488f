"""One cheap look: has the ledger changed, who may still look, what does the desk's clock say. Wall time throughout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connection

from execution.selectors import desk_account
from marketdata.clock import ClockState, market_now, wall_now
from marketdata.models import Quote
from ops_console.scopes import ROLE_SCOPES
from ops_console.snapshot.desk import DATABASE_AWAY
from ops_console.snapshot.prices import closes_before, session_shown

# Ids of append-only tables only grow, and every step of an order is an event: together they are the ledger's version.
VERSION = """
SELECT (SELECT max(id) FROM execution_orderevent), (SELECT max(id) FROM execution_fill),
       (SELECT max(id) FROM execution_order), (SELECT max(id) FROM risk_killswitchevent),
       (SELECT max(id) FROM risk_breakerevent), (SELECT max(id) FROM trading_runstep),
       (SELECT max(id) FROM trading_run), (SELECT max(finished_at) FROM trading_run)
"""


class Reader(Protocol):
    """Somebody at an open page."""

    user_id: int
    session_key: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look found. `admitted` maps (user, session) to the password hash; None when nobody could be asked."""

    version: tuple[object, ...] = ()
    admitted: Mapping[tuple[int, str], str] | None = None
    clock: ClockState | None = None
    feed_name: str = ""
    closes: Mapping[str, Decimal] = field(default_factory=dict)

    def admits(self, reader: Reader) -> bool:
        """Tell whether the page may go on: user active with a role, session alive, password unchanged."""
        if self.admitted is None:
            return True
        return self.admitted.get((reader.user_id, reader.session_key)) == reader.password_hash


def read_watch(readers: Sequence[tuple[int, str]]) -> Reading:
    """Look once. Without a database nothing is known and nobody is sent away."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(VERSION)
            version = cursor.fetchone()
        admitted = _admitted(readers)
        account = desk_account(str(settings.TRADING_MODE))
        if account is None:
            return Reading(version, admitted)
        clock = account.feed.clock_state()
        symbols = Quote.objects.filter(feed=account.feed).values_list("instrument__symbol", flat=True)
        closes = closes_before(session_shown(market_now(clock, wall_now())), tuple(sorted(symbols)))
        return Reading(version, admitted, clock, account.feed.name, closes)
    except DATABASE_AWAY:
        return Reading()


def _admitted(readers: Sequence[tuple[int, str]]) -> dict[tuple[int, str], str]:
    people = {user for user, _ in readers}
    users = get_user_model().objects.filter(pk__in=people, is_active=True)
    roles = users.filter(groups__name__in=ROLE_SCOPES).values_list("pk", "password")
    passwords = {**dict(roles), **dict(users.filter(is_superuser=True).values_list("pk", "password"))}
    sessions = {key for _, key in readers}
    alive = Session.objects.filter(session_key__in=sessions, expire_date__gt=wall_now())
    keys = set(alive.values_list("session_key", flat=True))
    return {(user, key): passwords[user] for user, key in readers if key in keys and user in passwords}
