"""A TCP cable between a client and a server that can be held, cut in the middle of a frame, or made slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any

PIECE = 1 << 16
LOOPBACK = "127.0.0.1"
START_WAIT = 10


class Cable:
    """Forwards connections of one port to another; every switch counts for all connections, at once."""

    def __init__(self, *, host: str, port: int) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._ending = asyncio.Event()
        self._started = Event()
        self._cut_after: int | None = None
        self._piece, self._pause = PIECE, 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0
        self.cuts = 0

    # switches, from any thread

    def hold(self) -> None:
        """Half-open: bytes are taken and forwarded to nobody, and the connections stay."""
        self._do(self._open.clear)

    def cut_within_next_frame(self, *, after: int) -> None:
        """Forward so many bytes of what the server says next, then cut the connection."""
        self._do(lambda: setattr(self, "_cut_after", after))

    def slow(self, *, piece: int, pause: float) -> None:
        """Forward what the server says in pieces of so many bytes, with a pause (s) before each."""
        self._do(lambda: self._set_pace(piece, pause))

    def mend(self) -> None:
        """Forward everything again; what was held is lost with its connections."""
        self._do(self._mend)

    def _mend(self) -> None:
        if not self._open.is_set():
            self._abort()
        self._cut_after = None
        self._set_pace(PIECE, 0.0)
        self._open.set()

    def _set_pace(self, piece: int, pause: float) -> None:
        self._piece, self._pause = piece, pause

    def _do(self, work: Callable[[], Any]) -> None:
        done = Event()

        def both() -> None:
            work()
            done.set()

        self._loop.call_soon_threadsafe(both)
        done.wait(START_WAIT)

    # the loop's side

    async def _run(self) -> None:
        self._open.set()
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        async with server:
            await self._ending.wait()
        for task in self._served:
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._connect(reader, writer))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there, to_server = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, to_server}
        self._writers |= ends
        ways = [
            asyncio.ensure_future(self._carry(reader, to_server, is_downstream=False)),
            asyncio.ensure_future(self._carry(there, writer, is_downstream=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers -= ends
            for each in ends:
                each.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_downstream: bool) -> None:
        with suppress(OSError):
            while taken := await source.read(self._piece if is_downstream else PIECE):
                if is_downstream and self._pause:
                    await asyncio.sleep(self._pause)
                await self._open.wait()
                if is_downstream and self._cut_after is not None:
                    sink.write(taken[: self._cut_after])
                    await sink.drain()
                    self._cut_after, self.cuts = None, self.cuts + 1
                    return
                sink.write(taken)
                await sink.drain()

    def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()


@contextmanager
def cable_to(host: str, port: int) -> Iterator[Cable]:
    """Lay a cable, on a loop in a thread of its own, to the end of the block."""
    cable = Cable(host=host, port=port)
    with ThreadPoolExecutor(1, thread_name_prefix="cable") as pool:
        running = pool.submit(cable._loop.run_until_complete, cable._run())
        if not cable._started.wait(START_WAIT):
            raise RuntimeError(f"the cable was not laid within {START_WAIT} s: {running}")
        try:
            yield cable
        finally:
            cable._do(cable._ending.set)
            running.result(START_WAIT)
            cable._loop.close()
