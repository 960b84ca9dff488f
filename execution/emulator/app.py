"""The emulator as one ASGI application: trading, data, streams and control behind one front."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute

from execution.alpaca_wire.errors import NOT_FOUND, WireError
from execution.emulator.control import Control
from execution.emulator.data import DataApi
from execution.emulator.front import Front
from execution.emulator.rest import TradingApi, answer
from execution.emulator.stock_stream import FEEDS
from execution.emulator.streams import PATH
from execution.emulator.surface import Surface


def build_app(surface: Surface) -> Front:
    """Return the application; it must run on uvicorn, whose connections the front can cut."""
    routes = [
        *TradingApi(surface).routes(),
        *DataApi(surface).routes(),
        *Control(surface).routes(),
        WebSocketRoute(PATH, surface.updates.serve),
        *(WebSocketRoute(f"/v2/{feed}", surface.stock.serve, name=feed) for feed in FEEDS),
    ]
    handlers = {WireError: _refusal, HTTPException: _not_served}
    return Front(Starlette(routes=routes, exception_handlers=handlers), surface)


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, WireError)
    return answer(error.body(), error.status)


async def _not_served(request: Request, error: Exception) -> Response:
    """Answer for a path or a method that is not there."""
    assert isinstance(error, HTTPException)
    code = NOT_FOUND if error.status_code == 404 else error.status_code * 100_000
    message = "endpoint not found." if error.status_code == 404 else str(error.detail).lower()
    return answer({"code": code, "message": message}, error.status_code)
