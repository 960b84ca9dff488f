"""JSON without binary floating point: numbers are read as `Decimal` and written from it digit by digit."""

import json
from decimal import Decimal
from typing import Any

import orjson

from execution.alpaca_wire.errors import MALFORMED, WireError


def encode(value: Any) -> bytes:
    """Write an answer; a `Decimal` becomes a bare JSON number."""
    return orjson.dumps(value, default=_decimal)


def decode_object(body: bytes) -> dict[str, Any]:
    """Read the JSON object of a request body; an empty body is an empty object.

    :raises WireError: 400, not an object of JSON, or NaN or Infinity in it
    """
    if not body:
        return {}
    try:
        read = json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(400, MALFORMED, f"request body is not JSON: {error}") from None
    if not isinstance(read, dict):
        raise WireError(400, MALFORMED, "request body must be a JSON object")
    return read


def _decimal(value: object) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(f"{value:f}".encode())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
