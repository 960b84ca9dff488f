"""Perform the clock's duties when they are due; one that fails spares the others and is told of."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import InterfaceError, OperationalError

from execution.models import Account
from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity
from trading.duties import Duty

log = structlog.get_logger(__name__)
FAILED = "clock_duty_failed"
OF_ONE_STATEMENT = frozenset({"40001", "40P01", "55P03", "57014"})
"""What a database says that is there: serialisation failure, deadlock, lock not available, statement canceled."""


class DutyRounds:
    """The duties of one clock process, each with the wall time it was last performed at."""

    def __init__(self, duties: Sequence[Duty]) -> None:
        self._duties = duties
        self._done_at: dict[str, datetime] = {}
        self._well: set[str] = set()
        self.failing: dict[str, str] = {}
        """By the name of the duty: what went wrong the last time."""

    def perform(self, account: Account, wall_now: datetime) -> None:
        """Perform what is due now.

        :raises OperationalError, InterfaceError: the database is away; every duty is due again when it is back
        """
        for duty in self._duties:
            last = self._done_at.get(duty.name)
            # A clock that was put back must not keep a duty waiting for the time to come again.
            if last is None or not last <= wall_now < last + duty.every:
                self._perform(duty, account, wall_now)
                self._done_at[duty.name] = wall_now

    def _perform(self, duty: Duty, account: Account, wall_now: datetime) -> None:
        try:
            duty.perform(account, wall_now)
        except Exception as error:  # each duty is a loop of its own: whatever it was, the others go on
            if _is_away(error):
                raise
            log.exception("clock_duty_failed", duty=duty.name)
            self._failed(duty.name, error, wall_now)
        else:
            self._went_well(duty.name, wall_now)

    def _failed(self, name: str, error: Exception, wall_now: datetime) -> None:
        self._well.discard(name)
        self.failing[name] = f"{type(error).__name__}: {error}"[:200]
        message = f"the clock's duty {name} failed: {self.failing[name]}"
        raise_alert(code=FAILED, subject=name, severity=AlertSeverity.CRITICAL, message=message, now=wall_now)

    def _went_well(self, name: str, wall_now: datetime) -> None:
        if name in self._well:
            return
        self.failing.pop(name, None)
        resolve_alert(code=FAILED, subject=name, now=wall_now)  # perhaps an earlier clock's
        self._well.add(name)


def _is_away(error: Exception) -> bool:
    """Tell whether the database cannot be worked with; a deadlock or a lock that is held is one duty's trouble."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    return getattr(error.__cause__, "sqlstate", None) not in OF_ONE_STATEMENT
