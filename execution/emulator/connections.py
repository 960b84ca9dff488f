"""The cable under a connection: cut it, or tear what is on it. Nothing else here knows the inside of uvicorn."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Scope, Send
from websockets.frames import Frame, Opcode

CABLE = "emulator.cable"
Cable = asyncio.Transport


def remember_cable(scope: Scope, send: Send) -> None:
    """Keep a connection's transport in its scope, before anything wraps `send`.

    uvicorn hands out a bound method of the object that owns the transport; ASGI itself knows no way to cut.
    :raises RuntimeError: the server is not uvicorn, or keeps its transport elsewhere
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if not isinstance(transport, asyncio.Transport):
        raise RuntimeError("the emulator cuts connections through uvicorn's transport, and found none")
    scope[CABLE] = transport


def cable_of(scope: Scope) -> Cable:
    """Return the transport that `remember_cable` kept."""
    cable: Cable = scope[CABLE]
    return cable


def cut(cable: Cable) -> None:
    """Close the connection at once; what was not sent yet is lost."""
    cable.abort()


def tear(cable: Cable, payload: bytes) -> None:
    """Write the first half of a WebSocket frame with this payload, and close behind it."""
    frame = Frame(Opcode.BINARY, payload).serialize(mask=False)
    cable.write(frame[: len(frame) // 2])
    cable.close()


def peer_of(scope: Scope) -> str:
    """Return the client's address, empty where the server does not say."""
    client: Any = scope.get("client")
    return "" if not client else str(client[0])
