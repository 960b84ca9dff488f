"""`/stream`: trade updates to whoever has authenticated and listens, and what can go wrong on the way.

Nothing is told again: who was away has missed it, as with the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from execution.alpaca_wire.json import encode
from execution.emulator.connections import cable_of, cut, deny
from execution.emulator.faults import Fault, FaultKind, FaultPlan
from execution.emulator.keys import Keys
from execution.emulator.pauses import fault_pause
from execution.emulator.sockets import (
    Connection,
    Door,
    Telling,
    loop_milliseconds,
    receive_message,
    strike,
    write_all,
)

PATH = "/stream"
TRADE_UPDATES = "trade_updates"
MOST_CONNECTIONS = 100
LOGIN_WAIT = timedelta(seconds=10)
FLUSH_WAIT = timedelta(seconds=1)
POLICY_VIOLATION = 1008
EVENT_FAULTS = (
    FaultKind.DUPLICATE_EVENT,
    FaultKind.DROP_EVENT,
    FaultKind.REORDER_EVENT,
    FaultKind.DELAY_EVENT,
    FaultKind.UNKNOWN_STATUS_EVENT,
    FaultKind.TEAR_EVENT,
    FaultKind.MALFORMED_EVENT,
)
DEFAULT_DELAY = timedelta(seconds=1)
UNHEARD_OF = "unheard_of"


class UpdateStream:
    """All connections to `/stream`. One thread: the loop's."""

    def __init__(self, *, faults: FaultPlan, keys: Keys, on_fault: Callable[[Fault, str], None]) -> None:
        self.faults = faults
        self.keys = keys
        self.fills_published = 0
        self.login_wait = LOGIN_WAIT
        self._on_fault = on_fault
        self._connections: set[Connection] = set()
        self._held: list[Telling] = []
        self._door = Door()

    @property
    def connections(self) -> int:
        """Return how many sockets are open."""
        return len(self._connections)

    @property
    def listeners(self) -> int:
        """Return how many sockets get trade updates."""
        return sum(connection.listening for connection in self._connections)

    def forget(self) -> None:
        """Drop what a fault holds back, and open the door again."""
        self._held.clear()
        self._door = Door()

    # what the venue says

    def publish(self, message: dict[str, Any]) -> None:
        """Tell everybody who listens, unless a fault stands between; this is the venue's listener."""
        data = message["data"]
        if data["event"] in ("fill", "partial_fill"):
            self.fills_published += 1
        if not self.listeners:
            return
        fault = self._fault_of(data)
        kind = None if fault is None else fault.kind
        if fault is None or kind is None:
            self._send(Telling(encode(message)))
        elif kind == FaultKind.REORDER_EVENT:
            self._held.append(Telling(encode(message)))
            return
        elif kind == FaultKind.DELAY_EVENT:
            pause = fault_pause(fault, DEFAULT_DELAY)
            asyncio.get_running_loop().call_later(pause.total_seconds(), self._send, Telling(encode(message)))
        else:
            for telling in _spoiled(fault, message):
                self._send(telling)
        self._release()

    def _fault_of(self, data: dict[str, Any]) -> Fault | None:
        order = data["order"]
        facts = {
            "event": str(data["event"]),
            "client_order_id": str(order["client_order_id"]),
            "symbol": str(order["symbol"]),
        }
        fault = self.faults.take(*EVENT_FAULTS, **facts)
        if fault is not None:
            self._on_fault(fault, f"{data['event']} of {order['client_order_id']}")
        return fault

    def _release(self) -> None:
        """Send what was held back until another event had gone out."""
        held, self._held = self._held, []
        for telling in held:
            self._send(telling)

    def _send(self, telling: Telling) -> None:
        now = loop_milliseconds()
        for connection in self._connections:
            if connection.listening:
                connection.tell(telling, at=now)

    async def flushed(self) -> None:
        """Wait until everything that was told is on the wire; a second at most."""
        waiting = [asyncio.ensure_future(each.queue.join()) for each in self._connections if each.listening]
        if not waiting:
            return
        _, late = await asyncio.wait(waiting, timeout=FLUSH_WAIT.total_seconds())
        for each in late:
            each.cancel()

    # faults of the stream as such

    def tick(self) -> None:
        """Mute or cut every connection when the plan says so; a fault waits until somebody listens."""
        if not self.listeners:
            return
        fault = self.faults.take(FaultKind.MUTE_STREAM, FaultKind.DISCONNECT_STREAM, path=PATH)
        if fault is None:
            return
        self._on_fault(fault, PATH)
        for connection in list(self._connections):
            strike(connection, fault)

    def disconnect(self) -> None:
        """Cut every connection."""
        for connection in list(self._connections):
            cut(connection.cable)

    # one connection

    async def serve(self, websocket: WebSocket) -> None:
        """Carry one connection from its handshake to its end."""
        if await self._refused(websocket):
            return
        await websocket.accept()
        connection = Connection(cable_of(websocket.scope))
        self._connections.add(connection)
        writer = asyncio.create_task(write_all(websocket, connection))
        login = asyncio.get_running_loop().call_later(
            self.login_wait.total_seconds(), _hang_up_unless_authorized, connection
        )
        try:
            while await self._hear(websocket, connection):
                pass
        except WebSocketDisconnect:
            pass
        finally:
            login.cancel()
            writer.cancel()
            self._connections.discard(connection)

    async def _refused(self, websocket: WebSocket) -> bool:
        fault = self._door.knock(self.faults, PATH)
        if fault is not None:
            self._on_fault(fault, PATH)
        if self._door.open and self.connections < MOST_CONNECTIONS:
            return False
        await deny(websocket)
        return True

    async def _hear(self, websocket: WebSocket, connection: Connection) -> bool:
        """Take one message of the client; return whether the connection goes on."""
        message = await receive_message(websocket)
        action, data = message.get("action"), message.get("data")
        given = data if isinstance(data, dict) else {}
        if action in ("authenticate", "auth"):
            return await self._login(websocket, connection, given or message)
        if action != "listen" or not connection.authorized:
            answer = {"stream": "authorization", "data": {"status": "unauthorized", "action": str(action)}}
            await websocket.send_bytes(encode(answer))
            return True
        streams = given.get("streams")
        known = [name for name in streams if name == TRADE_UPDATES] if isinstance(streams, list) else []
        await websocket.send_bytes(encode({"stream": "listening", "data": {"streams": known}}))
        # Only after the answer: the client must not read an update where it waits for the answer.
        connection.listening = bool(known)
        return True

    async def _login(self, websocket: WebSocket, connection: Connection, given: dict[str, Any]) -> bool:
        fault = self.faults.take(FaultKind.REFUSE_STREAM_LOGIN, path=PATH)
        if fault is not None:
            self._on_fault(fault, PATH)
        key_id, secret = given.get("key_id", given.get("key")), given.get("secret_key", given.get("secret"))
        connection.authorized = fault is None and self.keys.fit(key_id, secret)
        status = "authorized" if connection.authorized else "unauthorized"
        await websocket.send_bytes(
            encode({"stream": "authorization", "data": {"status": status, "action": "authenticate"}})
        )
        if not connection.authorized:
            await websocket.close(POLICY_VIOLATION)
        return connection.authorized


def _spoiled(fault: Fault, message: dict[str, Any]) -> list[Telling]:
    whole = encode(message)
    if fault.kind == FaultKind.DUPLICATE_EVENT:
        return [Telling(whole), Telling(whole)]
    if fault.kind == FaultKind.TEAR_EVENT:
        return [Telling(whole, torn=True)]
    if fault.kind == FaultKind.MALFORMED_EVENT:
        return [Telling(whole[: len(whole) // 2])]
    if fault.kind == FaultKind.UNKNOWN_STATUS_EVENT:
        changed = deepcopy(message)
        changed["data"]["order"]["status"] = str(fault.parameters.get("status", UNHEARD_OF))
        return [Telling(encode(changed))]
    return []  # DROP_EVENT


def _hang_up_unless_authorized(connection: Connection) -> None:
    if not connection.authorized:
        cut(connection.cable)
