"""A network in the same process: the client's requests reach the emulator's application without a socket.

Everything else is real: alpaca-py, the adapter's session, the front with its faults, the endpoints, the wire format. A
connection that is cut, or an answer that never comes, is what the client's library would raise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.exceptions import ChunkedEncodingError, ConnectionError, ConnectTimeout, ReadTimeout
from requests.structures import CaseInsensitiveDict

from execution.brokers.alpaca.line import Line
from execution.brokers.alpaca.session import THREAD
from execution.emulator.front import Front

Message = MutableMapping[str, Any]


class _Cable(asyncio.Transport):
    """What a connection hangs on; cutting it is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.is_cut = False

    def abort(self) -> None:
        self.is_cut = True


class _Exchange:
    """One request and what came back of its answer. A client that is asked for more has gone: it never waits."""

    def __init__(self, body: bytes) -> None:
        self.transport = _Cable()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.is_whole = False
        self._unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive(self) -> Message:
        return self._unread.pop() if self._unread else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message.get("headers", ())}
        else:
            self.parts.append(message.get("body", b""))
            self.is_whole = not message.get("more_body", False)

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


class Wire(BaseAdapter):
    """Carries requests; `before` and `after` are called around the effect of each, with its method and its body.

    `after` is told as well whether the client gets an answer at all. `dead` cuts the line: nobody can be connected to.
    """

    def __init__(self, application: Front, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._application, self._loop = application, loop
        self.before: Callable[[str, bytes], None] = lambda method, body: None
        self.after: Callable[[str, bytes, bool], None] = lambda method, body, is_whole: None
        self.dead = False

    def plug_into(self, line: Line) -> None:
        """Let all requests of a line go over this wire."""
        session = line._client._session
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, self)

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        method, url = str(request.method), urlsplit(str(request.url))
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        self.before(method, body)
        if self.dead:
            raise ConnectTimeout("nobody is there", request=request)
        THREAD.sent = True
        exchange = _Exchange(body)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": url.scheme,
            "path": unquote(url.path),
            "raw_path": url.path.encode(),
            "root_path": "",
            "query_string": url.query.encode(),
            "headers": [(str(k).lower().encode(), str(v).encode()) for k, v in (request.headers or {}).items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
        }
        self._loop.run_until_complete(self._application(scope, exchange.receive, exchange.send))
        self.after(method, body, exchange.is_whole and not exchange.transport.is_cut)
        return self._answer(exchange, request)

    def close(self) -> None:
        """Do nothing: there is no socket."""

    def _answer(self, exchange: _Exchange, request: PreparedRequest) -> Response:
        if exchange.transport.is_cut:
            torn = ChunkedEncodingError if exchange.status else ConnectionError
            raise torn("the connection was cut", request=request)
        if not exchange.is_whole:
            raise ReadTimeout("read timed out", request=request)
        response = Response()
        response.status_code, response.headers = exchange.status, CaseInsensitiveDict(exchange.headers)
        response._content, response._content_consumed = exchange.body, True
        response.request, response.url, response.encoding = request, str(request.url), "utf-8"
        return response
