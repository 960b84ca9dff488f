"""A server on a socket that says what it is told to, also what no broker would; it keeps every request that came."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from execution.brokers.alpaca import AlpacaBroker, AlpacaConfiguration
from execution.brokers.alpaca.budget import Budget
from execution.brokers.alpaca.line import Line

ORDER_ID = "61e69015-8549-4bfd-b9c3-01e75843f47d"
ACCOUNT = {
    "id": "acc-1",
    "account_number": "PA1STUB",
    "status": "ACTIVE",
    "cash": "1000.50",
    "equity": "1200",
    "trading_blocked": False,
    "account_blocked": False,
    "trade_suspended_by_user": False,
}


@dataclass
class Answer:
    """One answer; `then` is what happens instead of, or after, a whole one."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    then: str = ""
    """Empty, or `drop` (cut without an answer), `torn` (half a body, cut), `silence` (nothing until the stub ends)."""

    def encoded(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


Script = Callable[[str, str, Any], Answer]


class Stub:
    """`answer(method, path, body)` says what comes back; `requests` is the log."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.script: Script = lambda method, path, body: Answer(404, {"code": 40410000, "message": "order not found"})
        self.ended = threading.Event()

    def says(self, *answers: Answer) -> None:
        """Give these answers one after the other; the last one for ever."""
        waiting = list(answers)
        self.script = lambda method, path, body: waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def sent(self, method: str) -> list[Any]:
        """Return the bodies of the requests of one method."""
        return [body for verb, _path, body in self.requests if verb == method]


@contextmanager
def serving() -> Iterator[tuple[Stub, str]]:
    stub = Stub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(stub))
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        stub.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def handler_of(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            stub.requests.append((self.command, self.path, body))
            stub.headers.append(dict(self.headers))
            answer = stub.script(self.command, self.path, body)
            if answer.then == "silence":
                stub.ended.wait()
            if answer.then in {"silence", "drop"}:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            content = b"" if answer.status == 204 else answer.encoded()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if answer.then == "torn" else content)
            self.close_connection = True

        do_POST = do_PATCH = do_DELETE = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


def configuration(url: str, **fields: Any) -> AlpacaConfiguration:
    values = {
        "mode": "alpaca_paper",
        "key_id": "PKSTUB",
        "secret_key": "stub-secret",
        "base_url": url,
        "stream_url": "",
        "connect_milliseconds": 500,
        "read_milliseconds": 300,
    }
    return AlpacaConfiguration(**values | fields)


@contextmanager
def broker_at(url: str, *, budget: Budget | None = None, **fields: Any) -> Iterator[AlpacaBroker]:
    line = Line(configuration(url, **fields), budget=budget)
    try:
        yield AlpacaBroker(line, reports=lambda cursor, limit: [])
    finally:
        line.close()


def order(client_order_id: str = "one", **fields: Any) -> dict[str, Any]:
    """Return an order as Alpaca writes it."""
    return {
        "id": ORDER_ID,
        "client_order_id": client_order_id,
        "created_at": "2012-06-14T13:05:00Z",
        "updated_at": "2012-06-14T13:05:00.123456789Z",
        "submitted_at": "2012-06-14T13:05:00Z",
        "symbol": "AAPL",
        "qty": "10",
        "filled_qty": "0",
        "filled_avg_price": None,
        "side": "buy",
        "type": "market",
        "time_in_force": "day",
        "order_class": "",
        "status": "new",
        "legs": None,
    } | fields


def error(status: int, code: int, message: str, **extra: Any) -> Answer:
    return Answer(status, {"code": code, "message": message, **extra})
