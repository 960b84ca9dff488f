"""Run services at the same moment, each on a connection of its own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

from django.db import connection, transaction

PATIENCE_SECONDS = 10


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls in threads; return what each returned or raised, in their order."""

    def run(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 -- the outcome is what the test looks at
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@contextmanager
def in_another_transaction(work: Callable[[], Any]) -> Iterator[None]:
    """Do the work on another connection and keep its transaction open for the length of the block."""
    done, release = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                work()
                done.set()
                release.wait(PATIENCE_SECONDS)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(hold)
        try:
            if not done.wait(PATIENCE_SECONDS):
                future.result(timeout=0)
            yield
        finally:
            release.set()
            future.result(timeout=PATIENCE_SECONDS)
