"""One WebSocket of a client: what waits for it, what mutes or cuts it, and whether it is let in at all."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from execution.emulator.connections import Cable, cut, tear
from execution.emulator.faults import Fault, FaultKind, FaultPlan
from execution.emulator.pauses import fault_pause

LONGEST_QUEUE = 10_000
"""Messages that wait for a client; a slower one is cut off."""
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Telling:
    """One frame on its way; a torn one is cut in half, with the connection; the last one is followed by its end."""

    payload: bytes
    torn: bool = False
    last: bool = False


@dataclass(slots=True, eq=False)
class Connection:
    """One socket; `muted_until` is a time of the loop, None for ever while `muted`."""

    cable: Cable
    queue: asyncio.Queue[Telling] = field(default_factory=lambda: asyncio.Queue(LONGEST_QUEUE))
    authorized: bool = False
    listening: bool = False
    muted: bool = False
    muted_until: int | None = None

    def mute_at(self, at: int) -> bool:
        """Tell whether the connection says nothing at a time of the loop (ms)."""
        return self.muted and (self.muted_until is None or at < self.muted_until)

    def tell(self, telling: Telling, *, at: int) -> None:
        """Queue a frame at a time of the loop (ms); a mute connection loses it, one that does not read is cut off."""
        if self.mute_at(at):
            return
        try:
            self.queue.put_nowait(telling)
        except asyncio.QueueFull:
            cut(self.cable)


class Door:
    """Whether new connections are let in; a refusal with `seconds` lasts from the first one that it meets."""

    def __init__(self) -> None:
        self.open = True
        self._shut_until = 0

    def knock(self, faults: FaultPlan, path: str) -> Fault | None:
        """Decide about a connection; return the fault that begins with it."""
        now = loop_milliseconds()
        if now < self._shut_until:
            self.open = False
            return None
        fault = faults.take(FaultKind.REFUSE_STREAM, path=path)
        self.open = fault is None
        if fault is not None and fault.seconds() is not None:
            self._shut_until = now + fault_pause(fault, timedelta(0)) // MILLISECOND
        return fault


def strike(connection: Connection, fault: Fault) -> None:
    """Mute or cut one connection."""
    if fault.kind == FaultKind.DISCONNECT_STREAM:
        cut(connection.cable)
        return
    connection.muted = True
    connection.muted_until = None
    if fault.seconds() is not None:
        pause = fault_pause(fault, timedelta(0)) // MILLISECOND
        connection.muted_until = loop_milliseconds() + pause


async def write_all(websocket: WebSocket, connection: Connection) -> None:
    """Send what is queued, in order, until the connection ends."""
    while True:
        telling = await connection.queue.get()
        try:
            if telling.torn:
                tear(connection.cable, telling.payload)
            else:
                await websocket.send_bytes(telling.payload)
            if telling.last:
                connection.cable.close()
        except WebSocketDisconnect:
            return
        finally:
            connection.queue.task_done()


async def receive_message(websocket: WebSocket) -> dict[str, Any]:
    """Return the client's next message, from a text or a binary frame; one that is no object is empty.

    :raises WebSocketDisconnect: the client has gone
    """
    received = await websocket.receive()
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1005))
    try:
        message = json.loads(received.get("text") or received.get("bytes") or b"")
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def loop_milliseconds() -> int:
    """Return the running loop's own time; only differences mean something."""
    return int(asyncio.get_running_loop().time() * 1000)
