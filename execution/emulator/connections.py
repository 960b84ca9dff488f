"""The cable under a connection: cut it, or tear what is on it. Nothing else here knows the inside of uvicorn."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response
from starlette.types import Scope, Send
from starlette.websockets import WebSocket
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


async def deny(websocket: WebSocket) -> None:
    """Refuse a WebSocket's handshake with 429, as Alpaca does with one connection too many."""
    await websocket.send_denial_response(Response("connection limit exceeded", 429))
    # uvicorn closes the connection now, and only then counts the handshake as done.
    await asyncio.sleep(0)


def peer_of(scope: Scope) -> str:
    """Return the client's address, empty where the server does not say."""
    client: Any = scope.get("client")
    return "" if not client else str(client[0])
