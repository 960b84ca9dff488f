"""How values look on the wire: money and quantities as plain decimal strings, times in UTC with their offset."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson

ZERO_TEXT = "0"


def decimal_text(value: Decimal | None) -> str | None:
    """Write a finite decimal without exponent, trailing zeros or a negative zero."""
    if value is None:
        return None
    if not value.is_finite():
        raise ValueError(f"{value} cannot be sent: it is not a finite number")
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return ZERO_TEXT if text == "-0" else text


def time_text(value: datetime | None) -> str | None:
    """Write an aware time in UTC with its offset."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a time without an offset cannot be sent")
    return value.astimezone(UTC).isoformat()


def encode(body: Any) -> bytes:
    """Write an answer as JSON; decimals and times take the forms of this module."""
    return orjson.dumps(body, default=_other, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _other(value: Any) -> str | None:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form on the wire")
