"""A Dask cluster: a scheduler at an address and any number of workers, on a network that is trusted.

Whoever reaches a Dask scheduler can run code on its workers, and whom we connect to can send us objects that run code
here. So the address comes from whoever holds the machine, never from a request (`docs/scale.md`).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import structlog
from distributed import Client, Future, KilledWorker, Security, WorkerPlugin

from signals.engine.base import MOST_TRIES, Answer, EngineError, EngineLost, Part, Work
from signals.engine.here import LOOK_EVERY_SECONDS, answer_of
from signals.engine.worker import attempt_alike, described, differences, prepare
from signals.progress import Progress, silent

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 10
WORKERS_SECONDS = 30
GONE_SECONDS = 20
"""How long the scheduler may be away, or without any worker, while parts are waited for."""
THE_SAME = ("code", "python", "numpy", "polars", "lightgbm", "optuna", "machine")


class Prepared(WorkerPlugin):
    """Prepares each worker, also those that join while something runs."""

    name = "portcullis"

    def setup(self, worker: Any) -> None:
        """Do it once for a worker."""
        prepare()


class Cluster:
    """Workers of a Dask cluster; each part goes to one of them, and to another one when it dies."""

    name = "dask"

    def __init__(self, address: str, *, security: Security | None = None) -> None:
        """Connect, wait for a first worker and compare versions.

        :raises EngineError: nobody answers there, no worker comes, or one of another version
        """
        self.address = address
        self._sent: tuple[Any, Future[Any]] | None = None
        try:
            self._client: Client = Client(  # type: ignore[no-untyped-call]
                address, security=security, timeout=CONNECT_SECONDS, set_as_default=False, name="portcullis"
            )
        except (OSError, ValueError, TypeError) as error:
            raise EngineError(f"scheduler = {address}: no Dask scheduler answers there ({_said(error)})") from None
        try:
            self._greet()
        except BaseException:
            self._close()
            raise

    @property
    def workers(self) -> int:
        """Return how many workers there are now."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def map(
        self,
        work: Work[Part, Answer],
        parts: Sequence[Part],
        *,
        shared: Any = None,
        progress: Progress = silent,
        what: str = "working",
    ) -> list[Answer]:
        """Scatter the parts; those of a dead worker are begun again elsewhere, at most three times."""
        answers: dict[int, Answer] = {}
        losses = 0
        while len(answers) < len(parts):
            before = len(answers)
            try:
                self._await_worker(before, len(parts), partial(progress, before, len(parts), what))
                self._round(work, parts, shared, answers, progress, what)
            except CancelledError as error:  # the shared value went with the worker that had it, or the scheduler did
                self._sent = None
                losses = losses + 1 if len(answers) == before else 1
                log.warning("engine_parts_lost", scheduler=self.address, losses=losses, reason=_said(error))
                if losses >= MOST_TRIES:
                    raise EngineLost(_killed(len(answers), len(parts))) from None
            except (OSError, TimeoutError) as error:
                raise EngineLost(self._lost(len(answers), len(parts), _said(error))) from None
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
        """Send what has no answer yet, and take answers as they come.

        Whatever ends this early takes back what has not been begun.
        :raises CancelledError: what the cluster held for it is gone
        """
        sent = self._send(shared)
        waiting = {self._submit(work, sent, parts[number], number): number for number in _missing(answers, len(parts))}
        ended: SimpleQueue[Future[Any]] = SimpleQueue()
        for future in waiting:
            future.add_done_callback(ended.put)  # type: ignore[no-untyped-call]
        gone_since: float | None = None
        try:
            while waiting:
                progress(len(answers), len(parts), what)
                try:
                    future = ended.get(timeout=LOOK_EVERY_SECONDS)
                except Empty:
                    gone_since = self._patience(gone_since, len(answers), len(parts))
                    continue
                number = waiting.pop(future)
                answers[number] = self._answer(future, number, len(parts))
        finally:
            if waiting and self._client.status == "running":
                self._client.cancel(list(waiting), force=True)  # type: ignore[no-untyped-call]

    def _send(self, shared: Any) -> "Future[Any]":
        """Give each worker the shared value; one that they have is not sent again."""
        if self._sent is None or self._sent[0] is not shared or self._sent[1].status != "finished":
            future = self._client.scatter(shared, broadcast=True, hash=False)  # type: ignore[no-untyped-call]
            self._sent = (shared, future)
        return self._sent[1]

    def _submit(self, work: Work[Part, Answer], sent: Any, part: Part, number: int) -> "Future[Any]":
        key = f"portcullis-{number}-{time.monotonic_ns()}"
        return self._client.submit(attempt_alike, _ours(), work, sent, part, pure=False, retries=0, key=key)

    def _await_worker(self, done: int, total: int, look: Callable[[], None]) -> None:
        """Wait for a worker; they may be on their way back.

        :raises EngineLost: for too long
        """
        since: float | None = None
        while (since := self._patience(since, done, total)) is not None:
            look()
            time.sleep(LOOK_EVERY_SECONDS)

    def _answer(self, future: "Future[Any]", number: int, total: int) -> Any:
        try:
            return answer_of(future.result(), number, total)
        except KilledWorker:
            raise EngineLost(_killed(number, total)) from None

    def _patience(self, gone_since: float | None, done: int, total: int) -> float | None:
        """Return since when there is nobody to work (monotonic seconds), None while there is.

        :raises EngineLost: for too long
        """
        why = self._why_nobody()
        if not why:
            return None
        since = time.monotonic() if gone_since is None else gone_since
        if time.monotonic() - since > GONE_SECONDS:
            raise EngineLost(self._lost(done, total, why))
        return since

    def _why_nobody(self) -> str:
        if self._client.status != "running":
            return f"the scheduler is away (connection {self._client.status})"
        return "" if self.workers else f"no worker is left for {GONE_SECONDS} s"

    def _greet(self) -> None:
        """Wait for a worker, see that all compute as we do, and prepare them and those that come later."""
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except (OSError, TimeoutError):
            said = f"scheduler = {self.address}: it has no worker after {WORKERS_SECONDS} s; start `dask worker`"
            raise EngineError(said) from None
        self._compare()
        self._client.register_plugin(Prepared())

    def _compare(self) -> None:
        for worker, theirs in self._client.run(described).items():
            other = differences(_ours(), theirs)
            if other:
                raise EngineError(f"worker {worker} would compute other numbers: {other}")

    def _lost(self, done: int, total: int, why: str) -> str:
        told = f"{done} of {total} parts were done. Start the work again when it is back."
        return f"scheduler = {self.address}: {why}; {told}"

    def _close(self) -> None:
        try:
            self._client.close(timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError) as error:
            log.warning("engine_not_closed", scheduler=self.address, reason=_said(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; the cluster goes on without us."""
        self._close()


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _ours() -> dict[str, str]:
    found = described()
    return {name: found[name] for name in THE_SAME}


def _missing(answers: Mapping[int, Any], total: int) -> list[int]:
    return [number for number in range(total) if number not in answers]


def _killed(done: int, total: int) -> str:
    return (
        f"workers died {MOST_TRIES} times over the same parts, which are not begun again; {done} of {total} parts were "
        "done. Perhaps memory ran out: smaller parts need less."
    )
