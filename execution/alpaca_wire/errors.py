"""Alpaca's errors: an HTTP status and a body with a numeric code and a line for people."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

MALFORMED = 40010001
UNAUTHORIZED = 40110000
FORBIDDEN = 40310000
NOT_FOUND = 40410000
UNPROCESSABLE = 42210000
RATE_LIMITED = 42910000
INTERNAL = 50010000


class WireError(Exception):
    """An answer that refuses; `extra` are further fields of the body (symbol, available, held_for_orders …)."""

    def __init__(self, status: int, code: int, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        return {"code": self.code, "message": self.message, **self.extra}


def malformed(name: str, value: object, allowed: str) -> WireError:
    """Return the refusal of a field: its name, what was read, what is allowed."""
    shown = str(value) if isinstance(value, Decimal) else repr(value)
    return WireError(422, MALFORMED, f"{name}: {shown[:60]} is not allowed; {allowed} is")


def not_unique() -> WireError:
    """Return the refusal of a client_order_id that was used before."""
    return WireError(422, MALFORMED, "client_order_id must be unique")


def order_not_found(order_id: str) -> WireError:
    """Return the answer for an order that is not there."""
    return WireError(404, NOT_FOUND, f"order not found for {order_id}")


def position_not_found(symbol: str) -> WireError:
    """Return the answer for a position that is not there."""
    return WireError(404, NOT_FOUND, "position does not exist", symbol=symbol)


def unprocessable(message: str, **extra: Any) -> WireError:
    """Return a 422 for a request that is well-formed and cannot be done."""
    return WireError(422, UNPROCESSABLE, message, **extra)


def forbidden(message: str, **extra: Any) -> WireError:
    """Return a 403: buying power, shares that are not there, an account that may not."""
    return WireError(403, FORBIDDEN, message, **extra)
