"""Keep an account's line to its broker: how the stream is, when REST was last asked, what both said.

Each note is one statement on the account's row, so that tellers do not undo one another.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db.models import Case, F, Value, When
from django.db.models.functions import Greatest

from execution.models import Account, BrokerLink

LONGEST_PROBLEM = 300
SHORTFALL = "executions missing: "
"""Begins a poll problem that is no failure of REST: it answers, and does not tell everything that it counts."""


def link_of(account: Account) -> BrokerLink:
    """Return the account's link; a new one is down and has never heard anything."""
    link, _created = BrokerLink.objects.get_or_create(account=account)
    return link


def note_stream(*, account_id: int, state: str, problem: str, heard_at: datetime | None, wall_now: datetime) -> None:
    """Note how the stream is; since when is kept while the state stays, and `heard_at` only moves forward.

    Lock: the link.
    """
    changes: dict[str, Any] = {
        "stream": state,
        "stream_since": Case(When(stream=state, stream_since__isnull=False, then=F("stream_since")), default=wall_now),
        "stream_problem": problem[:LONGEST_PROBLEM],
    }
    if heard_at is not None:
        changes["heard_at"] = Greatest(F("heard_at"), Value(heard_at))
    _update(account_id, wall_now, changes)


def note_poll(
    *,
    account_id: int,
    wall_now: datetime,
    problem: str = "",
    shortfall: str = "",
    backfilled_until: datetime | None = None,
) -> None:
    """Note a cross-check by REST; one that failed (`problem`) leaves untouched when the newest good one was.

    `shortfall` is what a good one found missing at the broker itself. `backfilled_until` (market time at the broker)
    only moves forward. Lock: the link.
    """
    changes: dict[str, Any] = {
        "poll_problem": (problem or (SHORTFALL + shortfall if shortfall else ""))[:LONGEST_PROBLEM]
    }
    if not problem:
        changes["polled_at"] = wall_now
    if backfilled_until is not None:
        changes["backfilled_until"] = Greatest(F("backfilled_until"), Value(backfilled_until))
    _update(account_id, wall_now, changes)


def note_account(
    *,
    account_id: int,
    wall_now: datetime,
    trading_blocked: bool | None = None,
    suspended: bool | None = None,
    clock_skew_milliseconds: int | None = None,
) -> None:
    """Note what the broker says of the account and of its clock; None says nothing new. Lock: the link."""
    told = {
        "trading_blocked": trading_blocked,
        "suspended": suspended,
        "clock_skew_milliseconds": clock_skew_milliseconds,
    }
    _update(account_id, wall_now, {name: value for name, value in told.items() if value is not None})


def note_assets(*, account_id: int, session: date | None, problem: str, wall_now: datetime) -> None:
    """Note a look at the broker's list: for which session it was read, or why it was not (None). Lock: the link.

    It says nothing of the line, so it does not count as a sign of whoever listens.
    """
    changes: dict[str, Any] = {"assets_tried_at": wall_now, "assets_problem": problem[:LONGEST_PROBLEM]}
    if session is not None:
        changes["assets_for"] = session
    BrokerLink.objects.get_or_create(account_id=account_id)
    BrokerLink.objects.filter(account_id=account_id).update(**changes)


def _update(account_id: int, wall_now: datetime, changes: dict[str, Any]) -> None:
    found = BrokerLink.objects.filter(account_id=account_id)
    if not found.update(updated_at=wall_now, **changes):
        BrokerLink.objects.get_or_create(account_id=account_id)
        found.update(updated_at=wall_now, **changes)
