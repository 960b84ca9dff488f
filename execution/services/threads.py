"""Work for the book outside an event loop: one thread, one database connection, calls one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, connection

T = TypeVar("T")


class BookThread:
    """A thread whose database connection is dropped when it fails, so that the next call has a new one."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def call(self, work: Callable[..., T], *args: Any, **fields: Any) -> T:
        """Run a call in the thread and wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(_run, work, args, fields))

    def close(self) -> None:
        """End the thread after what it does now; waits for it."""
        self._pool.submit(_close)
        self._pool.shutdown(wait=True)


def _run(work: Callable[..., T], args: tuple[Any, ...], fields: dict[str, Any]) -> T:
    try:
        return work(*args, **fields)
    except (DatabaseError, InterfaceError):
        connection.close()
        raise


def _close() -> None:
    """Close the connection of the thread that runs this."""
    connection.close()
