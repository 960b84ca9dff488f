"""This machine: in this process, one part after the other, or in several processes at once."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any, Self

import structlog

from signals.engine.base import MOST_TRIES, Answer, EngineError, EngineLost, Part, PartFailed, Work
from signals.engine.worker import Done, Failed, attempt, prepare_child
from signals.progress import Progress, silent

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 0.2
"""How soon a cancel is noticed while all workers are busy."""
MOST_PROCESSES = 256
PRELOADED = ("numpy", "polars", "django", "signals.engine.worker", "signals.features")
_shared: Any = None


class Inline:
    """This very process: the parts one by one, each on all cores where its work knows threads."""

    name = "here"
    workers = 1

    def map(
        self,
        work: Work[Part, Answer],
        parts: Sequence[Part],
        *,
        shared: Any = None,
        progress: Progress = silent,
        what: str = "working",
    ) -> list[Answer]:
        """Do one part after the other; errors are the work's own."""
        answers = []
        for number, part in enumerate(parts):
            progress(number, len(parts), what)
            answers.append(work(shared, part))
        progress(len(parts), len(parts), what)
        return answers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""


class Processes:
    """Several processes of this machine, each with one part at a time; they end with this one.

    They are forked from a server that has imported everything and run nothing: this process itself cannot be forked,
    because the threads and locks of Polars and LightGBM do not survive that.
    """

    name = "processes"

    def __init__(self, workers: int) -> None:
        if not 1 <= workers <= MOST_PROCESSES:
            raise EngineError(f"processes = {workers}: allowed is 1 to {MOST_PROCESSES}")
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._sent: Any = None

    def map(
        self,
        work: Work[Part, Answer],
        parts: Sequence[Part],
        *,
        shared: Any = None,
        progress: Progress = silent,
        what: str = "working",
    ) -> list[Answer]:
        """Scatter the parts; when a process dies, the unfinished ones are begun again in new processes."""
        answers: dict[int, Answer] = {}
        deaths = 0
        try:
            while len(answers) < len(parts):
                before = len(answers)
                try:
                    self._round(work, parts, shared, answers, progress, what)
                except BrokenProcessPool:
                    self._end()
                    deaths = deaths + 1 if len(answers) == before else 1
                    log.warning("engine_worker_died", deaths=deaths, done=len(answers), parts=len(parts))
                    if deaths >= MOST_TRIES:
                        raise EngineLost(_died(len(answers), len(parts), deaths)) from None
        except BaseException:
            self._end()
            raise
        progress(len(parts), len(parts), what)
        return [answers[number] for number in range(len(parts))]

    def _round(
        self,
        work: Work[Part, Answer],
        parts: Sequence[Part],
        shared: Any,
        answers: dict[int, Answer],
        progress: Progress,
        what: str,
    ) -> None:
        pool = self._ready(shared)
        missing = [number for number in range(len(parts)) if number not in answers]
        waiting: dict[Future[Done | Failed], int] = {
            pool.submit(_attempt, work, parts[number]): number for number in missing
        }
        while waiting:
            progress(len(answers), len(parts), what)
            done, _ = wait(waiting, timeout=LOOK_EVERY_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                number = waiting.pop(future)
                answers[number] = answer_of(future.result(), number, len(parts))

    def _ready(self, shared: Any) -> ProcessPoolExecutor:
        """Return processes that hold the shared value: those of before, when it was the same one."""
        if self._pool is not None and self._sent is shared:
            return self._pool
        self._end()
        self._sent = shared
        sent = bytes(ForkingPickler.dumps(shared))
        self._pool = ProcessPoolExecutor(self.workers, _context(), initializer=_begin, initargs=(sent,))
        return self._pool

    def _end(self) -> None:
        """End the processes at once; what they were doing is not wanted any more."""
        if self._pool is None:
            return
        pool, self._pool, self._sent = self._pool, None, None
        processes = list((pool._processes or {}).values())  # kill_workers() comes with Python 3.14
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is left."""
        self._end()


def answer_of(outcome: Done | Failed, number: int, of: int) -> Any:
    """Return the answer of a part.

    :raises PartFailed: it failed
    """
    if isinstance(outcome, Done):
        return outcome.answer
    raise PartFailed(number, of, outcome.kind, outcome.message, outcome.trace)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _context() -> BaseContext:
    """Return how processes are started: where there is no fork, each imports everything anew."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _begin(shared: bytes) -> None:
    global _shared
    prepare_child()  # before it is read: what it is made of may be in modules that need that
    _shared = ForkingPickler.loads(shared)


def _attempt(work: Work[Part, Answer], part: Part) -> Done | Failed:
    return attempt(work, _shared, part)


def _died(done: int, parts: int, deaths: int) -> str:
    return (
        f"worker processes died {deaths} times without finishing a part; {done} of {parts} parts were done. "
        "Perhaps memory ran out: fewer processes or smaller parts need less."
    )
