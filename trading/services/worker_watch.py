"""End a worker that hangs, so that its supervisor starts it again.

A killed process of the cluster can leave the rest of it waiting for ever. Nothing is lost with it: a task that was not
acknowledged is handed out again, and each does its work once.
"""

import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django_q.models import OrmQ

from risk.services.alerts import raise_alert, resolve_alert
from risk.states import AlertSeverity
from trading.models import Heartbeat
from trading.supervisor import ChildState, running_child, signal_group
from trading.tasks import LATE, WORKER, enqueue, worker_heartbeat

log = structlog.get_logger(__name__)

SILENCE = timedelta(seconds=60)
"""Wall time; the worker is asked every ten seconds, and a task may take it thirty."""
AHEAD = timedelta(seconds=5)
"""A sign of life further ahead of us is of a clock that has been put back since, and says nothing."""
HUNG = "worker_hangs"
MOST_LOOKED_AT = 200
"""Of the newest tasks that wait."""


def ask_for_sign_of_life(now: datetime) -> bool:
    """Ask the worker for a sign of life unless a question waits already; tell whether it was asked now.

    While nobody takes tasks a question every ten seconds would be thousands by the morning, before all that is due. One
    that a worker has taken does not wait: that worker may be dead. One that waits for too long would be refused, and
    gives way.
    """
    waiting = OrmQ.objects.filter(lock__lte=now)
    asked = {row.pk: _asked_at(row.task) for row in waiting.order_by("-pk")[:MOST_LOOKED_AT]}
    questions = {pk: at for pk, at in asked.items() if at is not None}
    stale = [pk for pk, at in questions.items() if now - at > LATE]
    OrmQ.objects.filter(pk__in=stale).delete()
    if len(questions) > len(stale):
        return False
    enqueue(worker_heartbeat.__name__, now.isoformat())
    return True


def _asked_at(task: dict[str, Any]) -> datetime | None:
    """Return when a queued task asked for a sign of life; None when it asks for something else."""
    arguments = tuple(task.get("args") or ())
    if arguments[:1] != (worker_heartbeat.__name__,):
        return None
    return datetime.fromisoformat(arguments[1])


class WorkerWatch:
    """Watches the worker's signs of life from the start of one clock process on."""

    def __init__(self, *, since: datetime, state_file: Path) -> None:
        self._since = since
        self._looked_at = since
        self._state_file = state_file
        self._is_well = False

    def check(self, wall_now: datetime) -> bool:
        """End the worker when it was silent for too long; tell whether it was ended now.

        Its patience begins anew when it was started, ended, or when this process itself has slept: a machine that was
        suspended has silenced everybody.
        """
        if not timedelta() <= wall_now - self._looked_at < SILENCE / 2:
            self._since = wall_now
        self._looked_at = wall_now
        beat = Heartbeat.objects.filter(name=WORKER).values_list("at", flat=True).first()
        if beat is not None and self._since < beat <= wall_now + AHEAD:
            self._since = beat
            self._heard(wall_now)
        if wall_now - self._since <= SILENCE:
            return False
        return self._end(wall_now)

    def _heard(self, wall_now: datetime) -> None:
        if not self._is_well:
            self._is_well = True
            resolve_alert(code=HUNG, subject=WORKER, now=wall_now)  # perhaps an earlier clock's

    def _end(self, wall_now: datetime) -> bool:
        silent = int((wall_now - self._since).total_seconds())
        self._since, self._is_well = wall_now, False
        child = running_child(self._state_file, WORKER)
        if child is None:
            done = "there is no supervisor here to start it again: whoever runs it must"
        elif child.state != ChildState.RUNNING or child.since + SILENCE.total_seconds() > wall_now.timestamp():
            done = f"its supervisor has started it anew ({child.state})"
            child = None
        else:
            done = "it was ended, and its supervisor starts it again"
            signal_group(child.pid, signal.SIGKILL)
        log.error("worker_silent", seconds=silent, ended=child is not None)
        message = f"the worker gave no sign of life for {silent} s; {done}"
        raise_alert(code=HUNG, subject=WORKER, severity=AlertSeverity.CRITICAL, message=message, now=wall_now)
        return child is not None
