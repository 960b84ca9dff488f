"""The progress of a job, from the work's own threads to its row."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.db import InterfaceError, OperationalError, connection

from signals.progress import Cancelled
from trading.errors import JobLostError
from trading.services.jobs.holding import Held, tell

log = structlog.get_logger(__name__)

WRITE_EVERY = timedelta(milliseconds=500)
DATABASE_AWAY = (OperationalError, InterfaceError)


class Teller:
    """A `Progress` that costs the work next to nothing: a thread of its own writes the newest figures twice a second.

    The same write asks whether the job is still wanted and still ours; the work hears of it with its next word. A
    database that is away for a moment stops no work.
    """

    def __init__(self, held: Held, *, now: Callable[[], datetime], every: timedelta = WRITE_EVERY) -> None:
        self._held, self._now, self._every = held, now, every
        self._said = (0, 0, "")
        self._stopping = threading.Event()
        self._cancelled = self._lost = False
        self._thread = threading.Thread(target=self._write_on, name="progress", daemon=True)

    def __call__(self, done: int, total: int, what: str) -> None:
        """Note where the work is.

        :raises Cancelled: nobody wants it any more
        :raises JobLostError: somebody else does it
        """
        self._said = (done, total, what)
        if self._cancelled:
            raise Cancelled
        if self._lost:
            raise JobLostError(f"job {self._held.job_id} is held by somebody else, or over")

    def __enter__(self) -> "Teller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _write_on(self) -> None:
        try:
            while not self._stopping.wait(self._every.total_seconds()):
                self._write()
            self._write()
        finally:
            connection.close()

    def _write(self) -> None:
        done, total, what = self._said
        try:
            self._cancelled = tell(self._held, done=done, total=total, what=what, now=self._now())
        except JobLostError:
            self._lost = True
            self._stopping.set()
        except DATABASE_AWAY as error:
            log.warning("job_progress_not_written", job=self._held.job_id, reason=type(error).__name__)
            connection.close()
