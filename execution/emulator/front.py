"""What stands between the network and the endpoints: counting, keys, the rate limit, and the faults of requests.

A request goes through whole: its body is read, the endpoint runs, its answer is caught, and only then is decided what
the client gets to see. So a request whose answer is lost has taken effect exactly once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from execution.alpaca_wire.errors import FORBIDDEN, INTERNAL, MALFORMED, RATE_LIMITED, WireError
from execution.alpaca_wire.json import encode
from execution.emulator.connections import cable_of, cut, peer_of, remember_cable
from execution.emulator.faults import Fault, FaultKind
from execution.emulator.keys import unauthorized
from execution.emulator.pauses import fault_pause, pause
from execution.emulator.rate import WINDOW, Allowance
from execution.emulator.streams import UNHEARD_OF
from execution.emulator.surface import Surface

CONTROL = "/emulator"
LOOPBACK = ("127.", "::1", "::ffff:127.")
LONGEST_BODY = 1_000_000
TOO_LATE = timedelta(minutes=2)
SLOW = timedelta(seconds=1)
HTML = b"""<html>
<head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body>
</html>
"""
REFUSALS = (
    FaultKind.REFUSE_500,
    FaultKind.REFUSE_503,
    FaultKind.REFUSE_HTML,
    FaultKind.REFUSE_DROP,
    FaultKind.RATE_LIMITED,
    FaultKind.UNAUTHORIZED,
)
LOST_ANSWERS = (
    FaultKind.ACCEPT_THEN_TIMEOUT,
    FaultKind.ACCEPT_THEN_DROP,
    FaultKind.ACCEPT_THEN_504,
    FaultKind.ACCEPT_THEN_500,
    FaultKind.ACCEPT_THEN_HTML,
    FaultKind.ACCEPT_THEN_TORN,
    FaultKind.SLOW,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, before it is sent."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json; charset=UTF-8"})


class Front:
    """The outermost application: plain ASGI, because it must reach the cable."""

    def __init__(self, app: ASGIApp, surface: Surface) -> None:
        self.app = app
        self.surface = surface

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or carry one WebSocket."""
        if scope["type"] in ("http", "websocket"):
            remember_cable(scope, send)
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].startswith(CONTROL):
            await self._control(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the control endpoints be used from this machine only, and by no page of a browser: they need no key."""
        if not peer_of(scope).startswith(LOOPBACK):
            refusal = WireError(403, FORBIDDEN, "the control endpoints answer on the loopback address only")
            await _send(_refusal(refusal), send)
        elif "origin" in Headers(scope=scope):
            # Any page that is open here could send such a request, from wherever it came.
            refusal = WireError(403, FORBIDDEN, "the control endpoints do not answer pages of a browser (Origin)")
            await _send(_refusal(refusal), send)
        else:
            await self.app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            return
        if len(body) > LONGEST_BODY:
            await _send(_refusal(WireError(413, MALFORMED, f"request body is longer than {LONGEST_BODY} bytes")), send)
            return
        self.surface.count(scope["method"], scope["path"])
        facts = self._facts(scope, body)
        fault = self._fault(facts)
        fills = self.surface.updates.fills_published
        if fault is not None and fault.kind in REFUSALS:
            await self._refuse(fault, scope, receive, send)
            return
        answer = await self._run(scope, body)
        if self.surface.updates.fills_published > fills:
            # A fill that was told before its order's answer must be on the wire before it, or nobody could see that.
            await self.surface.updates.flushed()
        if fault is None:
            await _send(answer, send)
            self.surface.after_request()
        else:
            self.surface.after_request()
            await self._spoil(fault, answer, scope, receive, send)

    # facts and faults

    def _facts(self, scope: Scope, body: bytes) -> dict[str, str]:
        """Return what a fault can match: method, path, and the order that is meant."""
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        given = _object(body)
        head, _, last = scope["path"].rpartition("/")
        facts = {"method": scope["method"], "path": scope["path"], **self.surface.order_facts(last)}
        if head == "/v2/positions":
            facts["symbol"] = last
        for name in ("client_order_id", "symbol"):
            value = given.get(name) or query.get(name)
            if value:
                facts[name] = str(value)
        return facts

    def _fault(self, facts: Mapping[str, str]) -> Fault | None:
        kinds: tuple[FaultKind, ...] = REFUSALS + LOST_ANSWERS
        if facts["path"].startswith("/v2/orders") and facts["method"] != "DELETE":
            kinds += (FaultKind.UNKNOWN_STATUS,)
        fault = self.surface.faults.take(*kinds, **facts)
        if fault is not None:
            self.surface.note_fault(fault, f"{facts['method']} {facts['path']}")
        return fault

    async def _refuse(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without letting the request take effect."""
        if fault.kind == FaultKind.REFUSE_DROP:
            await _drop(scope, receive)
        elif fault.kind == FaultKind.UNAUTHORIZED:
            await _send(_refusal(unauthorized()), send)
        elif fault.kind == FaultKind.RATE_LIMITED:
            reset_at = self.surface.wall() + fault_pause(fault, WINDOW)
            await _send(_rate_limited(Allowance(self.surface.rate.limit or 200, 0, reset_at, allowed=False)), send)
        elif fault.kind == FaultKind.REFUSE_HTML:
            await _send(_page(fault, 502), send)
        else:
            status = 500 if fault.kind == FaultKind.REFUSE_500 else 503
            await _send(_refusal(WireError(status, INTERNAL, "internal server error occurred")), send)

    async def _spoil(self, fault: Fault, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the client see something else than the answer, or the answer late."""
        if fault.kind == FaultKind.UNKNOWN_STATUS:
            await _send(_with_unknown_status(fault, answer), send)
        elif fault.kind in (FaultKind.ACCEPT_THEN_TIMEOUT, FaultKind.SLOW):
            length = fault_pause(fault, SLOW if fault.kind == FaultKind.SLOW else TOO_LATE)
            if await self._outlasted(length, receive):
                await _send(answer, send)
        elif fault.kind == FaultKind.ACCEPT_THEN_DROP:
            await _drop(scope, receive)
        elif fault.kind == FaultKind.ACCEPT_THEN_TORN:
            await _tear(answer, scope, receive, send)
        elif fault.kind == FaultKind.ACCEPT_THEN_HTML:
            await _send(_page(fault, 200), send)
        else:
            status = 504 if fault.kind == FaultKind.ACCEPT_THEN_504 else 500
            message = "gateway timeout" if status == 504 else "internal server error occurred"
            await _send(_refusal(WireError(status, INTERNAL, message)), send)

    async def _outlasted(self, length: timedelta, receive: Receive) -> bool:
        """Wait; return whether the client is still there."""
        gone = asyncio.ensure_future(_disconnected(receive))
        waited = asyncio.ensure_future(pause(length, until=self.surface.closing))
        await asyncio.wait({gone, waited}, return_when=asyncio.FIRST_COMPLETED)
        there = not gone.done()
        for task in (gone, waited):
            task.cancel()
        return there

    # the endpoint itself

    async def _run(self, scope: Scope, body: bytes) -> Answer:
        """Check keys and rate limit, run the endpoint, and return its answer with the headers of every answer."""
        allowance = self.surface.rate.count(self.surface.wall())
        try:
            self.surface.keys.check(Headers(scope=scope))
        except WireError as error:
            answer = _refusal(error)
        else:
            limited = allowance is not None and not allowance.allowed
            answer = _rate_limited(allowance) if limited and allowance else await _caught(self.app, scope, body)
        headers = {"X-Request-ID": self.surface.request_id(), **(allowance.headers() if allowance else {})}
        return replace(answer, headers={**answer.headers, **headers})


async def _caught(app: ASGIApp, scope: Scope, body: bytes) -> Answer:
    """Run an application on a request whose body was read, and return its answer."""
    start: dict[str, Any] = {}
    parts: list[bytes] = []
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return unread.pop() if unread else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    names = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    names.pop("content-length", None)
    return Answer(start["status"], b"".join(parts), names)


async def _read_body(receive: Receive) -> bytes | None:
    """Return a request's body, no more of it than tells that it is too long; None when the client has gone."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if sum(map(len, parts)) <= LONGEST_BODY:
            parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send(answer: Answer, send: Send, *, body: bytes | None = None, more_body: bool = False) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    shown = answer.body if body is None else body
    await send({"type": "http.response.body", "body": shown, "more_body": more_body})


async def _tear(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Promise the whole answer, send half of its body, and cut; an answer without a body is cut before it."""
    if answer.body:
        await _send(answer, send, body=answer.body[: len(answer.body) // 2], more_body=True)
    await _drop(scope, receive)


async def _drop(scope: Scope, receive: Receive) -> None:
    """Cut, and wait until the server has noticed: it would answer 500 for an application that just returns."""
    cut(cable_of(scope))
    await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _refusal(error: WireError) -> Answer:
    return Answer(error.status, encode(error.body()))


def _rate_limited(allowance: Allowance) -> Answer:
    answer = _refusal(WireError(429, RATE_LIMITED, "rate limit exceeded"))
    return replace(answer, headers={**answer.headers, **allowance.headers()})


def _page(fault: Fault, status: int) -> Answer:
    return Answer(int(fault.parameters.get("status", status)), HTML, {"content-type": "text/html"})


def _with_unknown_status(fault: Fault, answer: Answer) -> Answer:
    read = json.loads(answer.body or b"null")
    for order in read if isinstance(read, list) else [read]:
        if isinstance(order, dict) and "status" in order:
            order["status"] = str(fault.parameters.get("status", UNHEARD_OF))
    return replace(answer, body=encode(read))


def _object(body: bytes) -> dict[str, Any]:
    """Return a body's object for matching alone; what is no object has no facts."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
