"""Load generator in a process of its own: asyncio, raw HTTP/1.1 with keep-alive, closed loop.

Reads one JSON object from standard input and writes one to standard output: `python -m tests.bench.load`. Each client
sends its next order when the answer to the last one is complete, opening a connection anew where the server closes it;
that belongs to the request's time.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from tests.bench.figures import latencies

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
HEAD_END = b"\r\n\r\n"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: `expected` is the status of a success."""

    host: str
    port: int
    path: str
    clients: int
    seconds: float
    tag: str
    headers: dict[str, str]
    expected: int = 201


class Answer:
    """One complete HTTP answer."""

    __slots__ = ("body", "status", "stays_open")

    def __init__(self, status: int, body: bytes, stays_open: bool) -> None:
        self.status = status
        self.body = body
        self.stays_open = stays_open


class Connection(asyncio.Protocol):
    """Sends a request and collects its answer by Content-Length."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._buffer = b""
        self._waiting: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes) -> "asyncio.Future[Answer]":
        assert self.transport is not None
        self._buffer = b""
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(HEAD_END)
        if end < 0 or self._waiting is None or self._waiting.done():
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : (head.find(b"\r\n", at) if head.find(b"\r\n", at) >= 0 else end)]) if at >= 0 else 0
        body = self._buffer[end + 4 :]
        if len(body) >= length:
            stays_open = b"connection: close" not in head
            self._waiting.set_result(Answer(int(head[9:12]), body, stays_open))

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError("closed before the answer was complete"))


class Load:
    """All clients of one plan and what they saw."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.samples: list[float] = []
        self.outcomes: Counter[str] = Counter()
        self.first_failure = ""
        self._number = 0

    async def run(self) -> dict[str, Any]:
        """Let every client work until the time is over, and describe it."""
        started = perf_counter()
        self._deadline = started + self.plan.seconds
        await asyncio.gather(*(self._client() for _ in range(self.plan.clients)))
        seconds = perf_counter() - started
        good = self.outcomes[str(self.plan.expected)]
        return {
            "clients": self.plan.clients,
            "per_second": round(good / seconds, 1),
            **latencies(self.samples),
            "errors": sum(self.outcomes.values()) - good,
            "outcomes": dict(self.outcomes),
            "first_failure": self.first_failure,
        }

    async def _client(self) -> None:
        connection: Connection | None = None
        while perf_counter() < self._deadline:
            request = self._request()
            started = perf_counter()
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    if connection is None or connection.transport is None:
                        connection = await self._connect()
                    answer = await connection.ask(request)
            except (OSError, TimeoutError) as error:
                self._count(type(error).__name__, str(error))
                connection = None
                continue
            self.samples.append((perf_counter() - started) * 1000)
            self._count(str(answer.status), answer.body.decode(errors="replace"))
            if not answer.stays_open and connection.transport is not None:
                connection.transport.close()
                connection = None

    def _count(self, outcome: str, detail: str) -> None:
        self.outcomes[outcome] += 1
        if outcome != str(self.plan.expected) and not self.first_failure:
            self.first_failure = f"{outcome}: {detail[:500]}"

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(Connection, self.plan.host, self.plan.port)
        return protocol

    def _request(self) -> bytes:
        """Write the next order: no two are the same wish."""
        self._number += 1
        number = self._number
        body = json.dumps(
            {
                "strategy": "manual",
                "symbol": SYMBOLS[number % len(SYMBOLS)],
                "side": "buy" if number % 2 else "sell",
                "quantity": str(1 + number % 97),
                "order_type": "limit",
                "time_in_force": "day",
                "limit_price": f"{100 + random.randrange(1, 400) / 100 * (-1 if number % 2 else 1):.2f}",
                "client_order_id": f"{self.plan.tag}-{number}",
            }
        ).encode()
        headers = {"Host": f"{self.plan.host}:{self.plan.port}", "Content-Type": "application/json"} | self.plan.headers
        lines = [f"POST {self.plan.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def main() -> None:
    """Read the plan, do it, write the figures."""
    plan = Plan(**json.load(sys.stdin))
    json.dump(asyncio.run(Load(plan).run()), sys.stdout)


if __name__ == "__main__":
    main()
