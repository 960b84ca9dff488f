"""Alpaca's messages in the words of this platform. Pure.

Prices come as binary numbers; the shortest decimal that is this number is what the sender wrote.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from msgpack import Timestamp

from marketdata.models.feeds import MAX_PRICE
from marketdata.types import BandNews, BidAsk, MarketEvent, StatusNews, TradeChange, TradePrint

LEAST_PRICE = Decimal("0.00000001")
CHANNELS = ("trades", "quotes", "statuses", "lulds")
BASIC_CHANNELS = ("trades", "quotes")
# Trades that were not made at the market of their moment: average price, cash and next-day settlement, sold out of
# sequence, contingent, prior reference, derivatively priced, official open and close. Odd lots are trades like others.
NOT_LAST = frozenset("BWCNRZUHVP479MQ")
# What the tapes say about trading; other codes inform and change nothing.
HALTS_CTA = {"2": True, "3": False}
HALTS_UTP = {"H": True, "P": True, "Q": True, "T": False}
"""Quotation only (`Q`) comes before trading resumes: nothing trades yet."""


class Unreadable(ValueError):
    """A message lacks what it must have; the text names field and value."""


def event_of(message: Mapping[str, Any]) -> MarketEvent | None:
    """Return what a message of the stream tells; None for those of no interest here (bars, unknown kinds).

    :raises Unreadable: a message of a known kind cannot be read
    """
    reader = _READERS.get(str(message.get("T", "")))
    return None if reader is None else reader(message)


def events_of_snapshot(symbol: str, snapshot: Mapping[str, Any]) -> list[MarketEvent]:
    """Return the newest quote and trade of a REST snapshot.

    :raises Unreadable: they are there and cannot be read
    """
    events: list[MarketEvent] = []
    for name, reader in (("latestQuote", read_quote), ("latestTrade", read_trade)):
        part = snapshot.get(name)
        event = reader({**part, "S": symbol}) if isinstance(part, Mapping) and part else None
        if event is not None:
            events.append(event)
    return events


def read_trade(message: Mapping[str, Any]) -> TradePrint | None:
    """Read a trade; None for one that does not tell the last price."""
    conditions = message.get("c") or ()
    if isinstance(conditions, list) and not NOT_LAST.isdisjoint(str(condition) for condition in conditions):
        return None
    return TradePrint(_symbol(message), _price(message, "p"), _moment(message), str(message.get("i", "")))


def read_quote(message: Mapping[str, Any]) -> BidAsk:
    """Read a quote; a price of 0 is an absent side."""
    return BidAsk(_symbol(message), _side(message, "bp"), _side(message, "ap"), _moment(message))


def read_status(message: Mapping[str, Any]) -> StatusNews:
    """Read a halt, a resumption, or other news of how an instrument trades."""
    tape, code = _text(message, "z", 4), _text(message, "sc", 8)
    return StatusNews(
        symbol=_symbol(message),
        halted=(HALTS_CTA if tape in ("A", "B") else HALTS_UTP).get(code),
        status=code,
        status_text=_text(message, "sm", 128),
        reason=_text(message, "rc", 16),
        reason_text=_text(message, "rm", 255),
        tape=tape,
        at=_moment(message),
    )


def read_band(message: Mapping[str, Any]) -> BandNews:
    """Read a price band."""
    low, high = _price(message, "d"), _price(message, "u")
    if low > high:
        raise Unreadable(f"band from {low} to {high}")
    return BandNews(_symbol(message), low, high, _text(message, "i", 8), _moment(message))


def read_correction(message: Mapping[str, Any]) -> TradeChange:
    """Read a trade's correction."""
    return TradeChange(_symbol(message), str(message.get("oi", "")), _price(message, "cp"), _moment(message))


def read_cancel(message: Mapping[str, Any]) -> TradeChange:
    """Read a trade's cancellation."""
    return TradeChange(_symbol(message), str(message.get("i", "")), None, _moment(message))


_READERS = {
    "t": read_trade,
    "q": read_quote,
    "s": read_status,
    "l": read_band,
    "c": read_correction,
    "x": read_cancel,
}


def moment(value: object) -> datetime:
    """Read a time: msgpack's own type, or RFC 3339 with an offset, to the microsecond.

    :raises Unreadable: neither
    """
    if isinstance(value, Timestamp):
        try:
            at: datetime = value.to_datetime()
        except (OverflowError, ValueError):
            raise Unreadable(f"time {value!r}") from None
        return at
    if isinstance(value, str):
        try:
            read = datetime.fromisoformat(value)
            if read.tzinfo is not None:
                return read.astimezone(UTC)
        except (OverflowError, ValueError):
            raise Unreadable(f"time {value!r}") from None
    raise Unreadable(f"time {value!r}")


def number(value: object) -> Decimal:
    """Read a finite number, from a binary one by its shortest decimal.

    :raises Unreadable: something else
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise Unreadable(f"number {value!r}")
    try:
        read = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise Unreadable(f"number {value!r}") from None
    if not read.is_finite():
        raise Unreadable(f"number {value!r}")
    return read


def _moment(message: Mapping[str, Any]) -> datetime:
    return moment(message.get("t"))


def _symbol(message: Mapping[str, Any]) -> str:
    symbol = message.get("S")
    if not isinstance(symbol, str) or not symbol or not symbol.isprintable():
        raise Unreadable(f"symbol {symbol!r}")
    return symbol


def _price(message: Mapping[str, Any], name: str) -> Decimal:
    return _storable(name, number(message.get(name)))


def _side(message: Mapping[str, Any], name: str) -> Decimal | None:
    value = message.get(name)
    price = number(0 if value is None else value)
    return _storable(name, price) if price > 0 else None


def _storable(name: str, price: Decimal) -> Decimal:
    """Return a price that the tables hold: one that they refuse would hold back all that was told with it."""
    if not LEAST_PRICE <= price < MAX_PRICE:
        raise Unreadable(f"{name} {price}: above 0 is needed, {LEAST_PRICE:f} to below {MAX_PRICE}")
    return price


def _text(message: Mapping[str, Any], name: str, longest: int) -> str:
    # No table takes a NUL or half of a surrogate pair.
    text = str(message.get(name) or "").replace("\0", "")
    return text.encode(errors="replace").decode()[:longest]
