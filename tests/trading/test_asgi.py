"""The entry of the web process."""

import asyncio
from typing import Any

import pytest

from trading.asgi import BODY, Handler

SCOPE = {"type": "http", "method": "GET", "path": "/", "root_path": "", "query_string": b"", "headers": []}


class Hanging(Handler):
    """Its views never answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def run_get_response(self, request: Any) -> Any:
        self.asked.set()
        await asyncio.Event().wait()


def test_server_that_stops_under_a_request_leaves_no_file_open():
    async def stop_under_a_request() -> bool:
        handler, scope = Hanging(), dict(SCOPE)
        unread = [{"type": "http.request", "body": b"half an order"}]

        async def receive() -> Any:
            return unread.pop() if unread else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            raise AssertionError(message)

        serving = asyncio.create_task(handler.handle(scope, receive, send))
        await handler.asked.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        return bool(scope[BODY].closed)

    assert asyncio.run(stop_under_a_request())
