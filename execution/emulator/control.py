"""`/emulator/…`: what a test, a drill or a person does to the broker behind the stage: no key, this machine only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from execution.alpaca_wire import params
from execution.alpaca_wire.errors import malformed, unprocessable
from execution.alpaca_wire.json import decode_object
from execution.alpaca_wire.orders import read_order
from execution.alpaca_wire.text import moment, read_moment, read_number
from execution.emulator.clock import ClockError
from execution.emulator.faults import Fault, FaultError, read_fault
from execution.emulator.prices import band_message, status_message
from execution.emulator.rest import answer, query_of
from execution.emulator.stock_stream import CHANNEL_OF
from execution.emulator.surface import Surface

MOST_ENTRIES = 10_000
MOST_FAULTS = 1_000
CLOCK_FIELDS = ("at", "advance_seconds", "speed", "pause", "resume")
PRICE_FIELDS = ("bid", "ask", "last", "volume")
ACCOUNT_FIELDS = ("trading_blocked", "account_blocked", "suspended", "shorting_enabled")


class Control:
    """The endpoints behind the stage; each answers with what is now."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface

    def routes(self) -> list[Route]:
        """Return all of them."""
        posts = {
            "faults": self.add_faults,
            "clock": self.move_clock,
            "prices": self.set_prices,
            "orders": self.external_order,
            "positions": self.set_position,
            "liquidate": self.liquidate,
            "splits": self.split,
            "tape": self.print_tape,
            "account": self.change_account,
            "halts": self.halt,
            "bust": self.bust,
            "cash": self.pay,
            "pump": self.pump,
            "reset": self.reset,
        }
        gets = {"state": self.state, "log": self.log, "faults": self.faults, "requests": self.requests}
        return [
            *(Route(f"/emulator/{name}", endpoint, methods=["POST"]) for name, endpoint in posts.items()),
            *(Route(f"/emulator/{name}", endpoint, methods=["GET"]) for name, endpoint in gets.items()),
            Route("/emulator/faults", self.clear_faults, methods=["DELETE"]),
        ]

    # looking

    async def state(self, request: Request) -> Response:
        """GET state: market time, account, positions, connections, how much is in the log."""
        return answer(self._state())

    def _state(self) -> dict[str, Any]:
        surface = self.surface
        clock = surface.clock
        return {
            "market_at": moment(clock.now()),
            "clock": clock.kind,
            "speed": clock.state.speed,
            "paused": clock.state.paused_at is not None,
            "account": surface.venue.account(),
            "positions": surface.log.positions(),
            "orders": dict(sorted(Counter(surface.log.orders().values()).items())),
            "stream_connections": surface.updates.connections,
            "stream_listeners": surface.updates.listeners,
            "data_connections": surface.stock.connections,
            "faults_waiting": len(surface.faults.waiting()),
            "log_entries": len(surface.log),
        }

    async def log(self, request: Request) -> Response:
        """GET log?after=N: the entries behind number N, at most 10,000 at once."""
        given = query_of(request)
        after = params.whole(given, "after", default=0, least=0, most=10**12 - 1)
        entries = self.surface.log.entries(after=after, kind=given.get("kind") or None)[:MOST_ENTRIES]
        return answer([entry.as_json() for entry in entries])

    async def requests(self, request: Request) -> Response:
        """GET requests: how many there were, by method and path."""
        counted = sorted(self.surface.requests.items())
        return answer([{"method": method, "path": path, "count": count} for (method, path), count in counted])

    # faults

    async def faults(self, request: Request) -> Response:
        """GET faults: what is still to happen."""
        return answer([_described(fault) for fault in self.surface.faults.waiting()])

    async def add_faults(self, request: Request) -> Response:
        """POST faults: one fault, or a list of them under `faults`; all or none are added."""
        body = decode_object(await request.body())
        given = body.get("faults", [body])
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            raise malformed("faults", given, "a list of objects")
        if len(given) + len(self.surface.faults.waiting()) > MOST_FAULTS:
            raise unprocessable(f"at most {MOST_FAULTS} faults can wait")
        try:
            read = [read_fault(each) for each in given]
        except FaultError as error:
            raise unprocessable(str(error)) from error
        for fault in read:
            self.surface.faults.add(fault)
        return await self.faults(request)

    async def clear_faults(self, request: Request) -> Response:
        """DELETE faults: let everything be well from now on."""
        self.surface.faults.clear()
        self.surface.updates.forget()
        return await self.faults(request)

    # the market

    async def move_clock(self, request: Request) -> Response:
        """POST clock: `at`, `advance_seconds`, `speed`, `pause`, `resume`; then the market catches up."""
        body = await _body(request, CLOCK_FIELDS)
        clock = self.surface.clock
        try:
            if body.get("at") is not None:
                clock.set(read_moment("at", str(body["at"])))
            if body.get("advance_seconds") is not None:
                clock.advance(read_number("advance_seconds", body["advance_seconds"]))
            if body.get("speed") is not None:
                clock.set_speed(read_number("speed", body["speed"]))
            if body.get("pause"):
                clock.pause()
            if body.get("resume"):
                clock.resume()
        except ClockError as error:
            raise unprocessable(str(error)) from error
        return self._done()

    async def set_prices(self, request: Request) -> Response:
        """POST prices: bid, ask, last and volume by symbol; a last price alone is quoted on both sides."""
        body = decode_object(await request.body())
        read = {symbol: _prices(symbol, given) for symbol, given in body.items()}
        for symbol, (last, others) in read.items():
            self.surface.venue.tick(symbol, last=last, **others)
        return self._done()

    async def halt(self, request: Request) -> Response:
        """POST halts: `symbol` and `halted`; with `low` and `high` the stream tells the price band as well."""
        body = await _body(request, ("symbol", "halted", "low", "high"))
        symbol = _symbol(body)
        halted = body.get("halted", True)
        if not isinstance(halted, bool):
            raise malformed("halted", halted, "true or false")
        at = self.surface.clock.now()
        messages = [status_message(symbol, halted=halted, at=at)]
        if body.get("low") is not None and body.get("high") is not None:
            low, high = _positive(body, "low"), _positive(body, "high")
            messages.append(band_message(symbol, low=low, high=high, at=at))
        # Only now: what is refused changes nothing.
        if halted:
            self.surface.venue.halt(symbol)
        else:
            self.surface.venue.resume(symbol)
        self.surface.stock.broadcast(messages)
        return self._done()

    async def split(self, request: Request) -> Response:
        """POST splits: `ratio` new shares of `symbol` for an old one, now."""
        body = await _body(request, ("symbol", "ratio"))
        self.surface.venue.split(_symbol(body), _positive(body, "ratio"))
        return self._done()

    async def print_tape(self, request: Request) -> Response:
        """POST tape: `messages` of the stock stream as they are (corrections, updated bars …), at this instant."""
        body = await _body(request, ("messages",))
        given = body["messages"]
        if not isinstance(given, list) or not all(_is_message(each) for each in given):
            raise malformed("messages", given, f"a list of objects with S, and T one of {', '.join(CHANNEL_OF)}")
        now = self.surface.clock.now()
        messages = [{**each, "t": read_moment("t", each["t"]) if "t" in each else now} for each in given]
        self.surface.stock.broadcast(messages)
        return answer(self._state())

    # the account

    async def external_order(self, request: Request) -> Response:
        """POST orders: an order that somebody else enters in the same account."""
        order = self.surface.venue.external_order(read_order(decode_object(await request.body())))
        self.surface.after_request()
        return answer(order)

    async def set_position(self, request: Request) -> Response:
        """POST positions: `symbol`, signed `quantity`, `price`: a position that no order of ours has made."""
        body = await _body(request, ("symbol", "quantity", "price"))
        quantity = read_number("quantity", body.get("quantity"))
        self.surface.venue.set_position(_symbol(body), quantity, _positive(body, "price"))
        return self._done()

    async def liquidate(self, request: Request) -> Response:
        """POST liquidate: the broker closes the position in `symbol`."""
        self.surface.venue.liquidate(_symbol(await _body(request, ("symbol",))))
        return self._done()

    async def change_account(self, request: Request) -> Response:
        """POST account: what the account may do from now on."""
        body = await _body(request, ACCOUNT_FIELDS)
        for name, value in body.items():
            if value is not None and not isinstance(value, bool):
                raise malformed(name, value, "true or false")
        self.surface.venue.block(**body)
        return self._done()

    async def bust(self, request: Request) -> Response:
        """POST bust: the venue takes the execution `execution_id` back."""
        body = await _body(request, ("execution_id",))
        self.surface.venue.bust(str(body.get("execution_id", "")))
        return self._done()

    async def pay(self, request: Request) -> Response:
        """POST cash: `kind` (CSD, CSW, DIV, FEE, INT), `amount`, perhaps `symbol`; not told where `tell` is false."""
        body = await _body(request, ("kind", "amount", "symbol", "tell"))
        tell = body.get("tell", True)
        if not isinstance(tell, bool):
            raise malformed("tell", tell, "true or false")
        amount, symbol = read_number("amount", body.get("amount")), str(body.get("symbol") or "")
        self.surface.venue.pay(str(body.get("kind")), amount, symbol=symbol, tell=tell)
        return self._done()

    # everything

    async def pump(self, request: Request) -> Response:
        """POST pump: let the market and everything pending catch up with the clock."""
        return self._done()

    async def reset(self, request: Request) -> Response:
        """POST reset: a new account, no orders, no faults; the market, its clock and the connections stay."""
        self.surface.reset()
        return answer(self._state())

    def _done(self) -> Response:
        self.surface.pump()
        return answer(self._state())


async def _body(request: Request, known: Collection[str]) -> dict[str, Any]:
    body = decode_object(await request.body())
    unknown = sorted(set(body) - set(known))
    if unknown or not body:
        raise malformed(", ".join(unknown) or "body", body, f"some of {', '.join(known)}")
    return body


def _is_message(given: Any) -> bool:
    if not isinstance(given, dict) or not isinstance(given.get("S"), str) or not isinstance(given.get("t", ""), str):
        return False
    return given.get("T") in CHANNEL_OF


def _symbol(body: Mapping[str, Any]) -> str:
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise malformed("symbol", symbol, "a symbol")
    return symbol


def _positive(body: Mapping[str, Any], name: str) -> Decimal:
    value = read_number(name, body.get(name))
    if value <= 0:
        raise malformed(name, body.get(name), "a number above 0")
    return value


def _prices(symbol: str, given: Any) -> tuple[Decimal, dict[str, Decimal]]:
    """Return the last price and what was given besides; a side that was not given is the last price."""
    if not isinstance(given, dict) or set(given) - set(PRICE_FIELDS) or given.get("last") is None:
        raise malformed(symbol, given, f"last, and some of {', '.join(PRICE_FIELDS)}")
    last = _positive(given, "last")
    others = {name: _positive(given, name) for name in ("bid", "ask", "volume") if given.get(name) is not None}
    return last, {"bid": last, "ask": last, **others}


def _described(fault: Fault) -> dict[str, Any]:
    return {
        "kind": fault.kind.value,
        "match": dict(fault.match),
        "after": fault.after,
        "times": fault.times,
        "probability": fault.probability,
        "parameters": dict(fault.parameters),
    }
