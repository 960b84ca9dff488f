"""Two at the same place at the same moment: what each lock keeps apart, arranged so that without it they always meet.

Who has read waits for the other where it is about to write. Behind a lock nobody comes, and the wait ends by itself;
without it both have read the same and both write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any

import pytest
from django.db import connection, models
from django.db.models.query import QuerySet

from execution.gateway import statements
from execution.models import Account, HaltProcedure
from tests.factories import WALL_NOW
from tests.risk.threads import together

MEET_SECONDS = 0.4
MINUTE = timedelta(minutes=1)
REASON = "seen at the broker, by two people"
Calls = tuple[Callable[[], Any], Callable[[], Any]]


@dataclass(frozen=True, slots=True)
class Race:
    """Two calls, the place where they would meet, what comes out with the lock and without, and how it is taken away.

    `place` is an object and the name of its attribute that both come by after they have read.
    """

    arrange: Callable[[], Calls]
    place: tuple[Any, str]
    outcome: Callable[[list[Any]], Any]
    right: Any
    wrong: Any
    unlock: Callable[[pytest.MonkeyPatch], None]

    def run(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Let both go and return what has come out."""
        calls = self.arrange()
        meet_at(monkeypatch, *self.place)
        return self.outcome(together(*calls))


def meet_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Let whoever comes by wait for a second one, and not for long."""
    meeting, real = Barrier(2), getattr(owner, name)

    def meet(*args: Any, **fields: Any) -> Any:
        with suppress(BrokenBarrierError):  # the other one was kept out
            meeting.wait(MEET_SECONDS)
        return real(*args, **fields)

    monkeypatch.setattr(owner, name, meet)


def during(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, other: Callable[[], Any]) -> list[Thread]:
    """When somebody first comes by, let the other begin, wait for it a moment, and go on."""
    real, began = getattr(owner, name), []

    def aside() -> None:
        try:
            other()
        finally:
            connection.close()

    def go_on(*args: Any, **fields: Any) -> Any:
        if not began:
            began.append(Thread(target=aside))
            began[0].start()
            began[0].join(MEET_SECONDS)
        return real(*args, **fields)

    monkeypatch.setattr(owner, name, go_on)
    return began


def no_rows_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every row lock of the ORM away."""
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())


def unlocked(*tables: type[models.Model]) -> Callable[[pytest.MonkeyPatch], None]:
    """Take the row locks of some tables away, and leave the others."""
    real = QuerySet.select_for_update

    def select(self: Any, **fields: Any) -> Any:
        return self._chain() if self.model in tables else real(self, **fields)

    return lambda monkeypatch: monkeypatch.setattr(QuerySet, "select_for_update", select)


def no_gate_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gate read the account without locking it."""
    monkeypatch.setattr(statements, "LOCK_ACCOUNT", statements.READ_ACCOUNT)


def no_advisory_lock(module: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """Let what the module says to its cursor be said to nobody; its only words there are an advisory lock."""

    class Nobody:
        @contextmanager
        def cursor(self) -> Iterator[Nobody]:
            yield self

        def execute(self, statement: str, _parameters: Any = None) -> None:
            assert "pg_advisory" in statement

    return lambda monkeypatch: monkeypatch.setattr(module, "connection", Nobody())


def both(call: Callable[..., Any], *fields: dict[str, Any]) -> Calls:
    """Make one call of each set of fields."""
    first, second = fields
    return partial(call, **first), partial(call, **second)


def errors(answers: list[Any]) -> list[str]:
    """Name what was raised."""
    return sorted(type(answer).__name__ for answer in answers if isinstance(answer, Exception))


def a_halt(account: Account) -> HaltProcedure:
    """Store a halt of everything that has just begun."""
    return HaltProcedure.objects.create(
        account=account,
        scope="global",
        level="halted",
        operator="ann",
        reason=REASON,
        asked_at=WALL_NOW,
        next_at=WALL_NOW,
    )
