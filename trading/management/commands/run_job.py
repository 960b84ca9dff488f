"""Do one job that was claimed before; started by the process `jobs`."""

import os
import threading
import uuid
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from marketdata.clock import wall_now
from signals.progress import Cancelled
from trading.errors import JobLostError
from trading.hidden import without_secrets
from trading.job_kinds import KINDS, runs_of
from trading.services.jobs import holding
from trading.services.jobs.holding import Held
from trading.services.jobs.telling import DATABASE_AWAY, Teller

log = structlog.get_logger(__name__)

TELL_THE_END_WITHIN = timedelta(minutes=2)
AGAIN_AFTER_SECONDS = 2
FIRST_TO_DIE = 500
"""When memory runs out the kernel takes this process before any that trades."""


class Command(BaseCommand):
    """The work itself: from the stored parameters to the stored result."""

    help = "Do one job under the claim it was taken by. The process `jobs` starts this; people start `run_jobs`."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("job", type=int, help="the job's number")
        parser.add_argument("claim", type=uuid.UUID, help="the fence it is held by")

    def handle(self, *args: Any, **options: Any) -> None:
        """Work, and tell how it went; a failure is stored and ends this process with its trace.

        :raises CommandError: the job is not held by this claim
        """
        yield_memory()
        held = Held(options["job"], options["claim"])
        try:
            self.work(held)
        except JobLostError as error:
            raise CommandError(str(error), returncode=3) from None

    def work(self, held: Held) -> None:
        """Do the work and store how it ended.

        :raises JobLostError: it is not held by this claim
        """
        job = holding.held_job(held)
        log.info("job_works", job=job.pk, kind=job.kind, attempt=job.attempts)
        try:
            with Teller(held, now=wall_now) as progress:
                result = runs_of(KINDS[job.kind])(job.parameters, progress)
            persist(lambda: holding.complete(held, result=result, now=wall_now()))
        except Cancelled:
            persist(lambda: holding.end_canceled(held, now=wall_now()))
        except JobLostError:
            raise
        except Exception as error:
            said = without_secrets(f"{type(error).__name__}: {error}")
            persist(lambda: holding.fail(held, error=said, now=wall_now()))
            raise


def persist(write: Callable[[], None]) -> None:
    """Store how the work ended, however long the database is away (two minutes at most).

    :raises JobLostError: the job is not held by this claim
    """
    until, pause = wall_now() + TELL_THE_END_WITHIN, threading.Event()
    while True:
        try:
            write()
            return
        except DATABASE_AWAY:
            if wall_now() > until:
                raise
            connection.close()
            pause.wait(AGAIN_AFTER_SECONDS)


def yield_memory() -> None:
    """Offer this process to the kernel before any that trades, where the system knows such a thing."""
    with suppress(OSError):
        Path(f"/proc/{os.getpid()}/oom_score_adj").write_text(str(FIRST_TO_DIE))
