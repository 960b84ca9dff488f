"""Query parameters, read strictly: an unreadable one is refused by name, as the real API does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal

from execution.alpaca_wire.errors import malformed
from execution.alpaca_wire.text import read_moment, read_number, require_year
from marketdata.clock import NEW_YORK

Params = Mapping[str, str]
TRUE = ("true", "True", "1")
FALSE = ("false", "False", "0")


def choice(params: Params, name: str, allowed: Sequence[str], default: str) -> str:
    """Return one of the allowed words.

    :raises WireError: 422, another word
    """
    value = params.get(name) or default
    if value not in allowed:
        raise malformed(name, value, f"one of {', '.join(allowed)}")
    return value


def flag(params: Params, name: str, default: bool = False) -> bool:
    """Return a truth value; Python's spelling is read as well, because alpaca-py sends it.

    :raises WireError: 422, neither true nor false
    """
    value = params.get(name)
    if not value:
        return default
    if value not in TRUE + FALSE:
        raise malformed(name, value, "true or false")
    return value in TRUE


def whole(params: Params, name: str, *, default: int, least: int, most: int) -> int:
    """Return a whole number between two bounds, both included.

    :raises WireError: 422, no whole number, or out of range
    """
    value = params.get(name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not least <= int(value[:12]) <= most:
        raise malformed(name, value, f"a whole number from {least} to {most}")
    return int(value)


def instant(params: Params, name: str) -> datetime | None:
    """Return a time, None when it is not given; a date is its midnight in UTC.

    :raises WireError: 422, not a time
    """
    value = params.get(name)
    return read_moment(name, value) if value else None


def new_york_instant(params: Params, name: str) -> datetime | None:
    """Return a time, None when it is not given; a date is its midnight in New York, where daily bars begin.

    :raises WireError: 422, not a time
    """
    if len(params.get(name, "")) == len("2012-06-14"):
        given = day(params, name)
        return None if given is None else datetime.combine(given, time(), NEW_YORK)
    return instant(params, name)


def day(params: Params, name: str) -> date | None:
    """Return a date, None when it is not given; of a time, its date.

    :raises WireError: 422, not a date
    """
    value = params.get(name)
    if not value:
        return None
    try:
        read = date.fromisoformat(value[:10])
    except ValueError:
        raise malformed(name, value, "a date such as 2012-06-14") from None
    require_year(name, value, read.year)
    return read


def decimal(params: Params, name: str) -> Decimal | None:
    """Return a number, None when it is not given.

    :raises WireError: 422, no finite number
    """
    value = params.get(name)
    return read_number(name, value) if value else None


def words(params: Params, name: str) -> tuple[str, ...]:
    """Return what stands between commas, without blanks and repetition."""
    found = (word.strip() for word in params.get(name, "").split(","))
    return tuple(dict.fromkeys(word for word in found if word))
