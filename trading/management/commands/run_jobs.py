"""Carry out the long work that was asked for: backtests, trainings, imports."""

import time
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import CommandError

from marketdata.clock import wall_now
from trading.job_process import JobProcess
from trading.management.worker import WorkerCommand
from trading.models import Job
from trading.services.jobs.rounds import JobRounds
from trading.states import JobState

STOP_WITHIN = timedelta(seconds=6)
"""The supervisor kills what has not ended after ten."""
MOMENT_SECONDS = 1 / 20


class Command(WorkerCommand):
    """Rounds twice a second. Each job has a process of its own, so its memory comes back with its end."""

    help = (
        "Carry out jobs (backtests, trainings, imports), each in a process of its own that yields to everything that "
        "trades. JOBS_AT_ONCE of them run beside each other. SIGTERM puts what runs back into the queue. Trading "
        "needs none of this. With --once: one job, and exit code 1 when it fails."
    )
    name = "jobs"
    pause = timedelta(milliseconds=500)
    rounds: JobRounds | None = None
    once = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define `--at-once` beside `--once`."""
        super().add_arguments(parser)
        parser.add_argument(
            "--at-once",
            type=int,
            choices=range(1, 65),
            metavar="N",
            default=settings.JOBS_AT_ONCE,
            help="jobs that run beside each other, 1 to 64 (JOBS_AT_ONCE, now %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Work until SIGTERM or SIGINT, or do one job.

        :raises CommandError: the one job failed
        """
        self.once = bool(options["once"])
        self.rounds = JobRounds(start=start, at_once=1 if self.once else options["at_once"])
        super().handle(*args, **options)

    def round(self) -> None:
        """Look after the jobs; with `--once` until one is over."""
        assert self.rounds is not None, "it was made before the first round"
        self.rounds.round(wall_now())
        if self.once:
            self._finish_one(self.rounds)

    def _finish_one(self, rounds: JobRounds) -> None:
        begun = list(rounds.running)
        rounds.at_once = 0
        try:
            while rounds.running:
                time.sleep(MOMENT_SECONDS)
                rounds.round(wall_now())
        finally:
            self.finish()
        for job in Job.objects.filter(pk__in=begun):
            self.stdout.write(f"{job}")
            if job.state == JobState.FAILED:
                raise CommandError(f"job {job.pk} failed: {job.error}")
        if not begun:
            self.stdout.write("no job waits")

    def finish(self) -> None:
        """Put back what runs."""
        if self.rounds is None:
            return
        until = wall_now() + STOP_WITHIN

        def wait() -> None:
            if wall_now() >= until:
                raise TimeoutError
            time.sleep(MOMENT_SECONDS)

        self.rounds.stop(wall_now(), wait)

    def detail(self) -> dict[str, Any]:
        """Tell what runs, what waits and how many are done."""
        if self.rounds is None:
            return {}
        waiting = Job.objects.filter(state=JobState.QUEUED).count()
        return {"running": sorted(self.rounds.running), "waiting": waiting, "done": self.rounds.done}


def start(job: Job) -> JobProcess:
    """Start a job's process."""
    return JobProcess(job, manage=settings.BASE_DIR / "manage.py")
