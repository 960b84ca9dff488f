"""Numbers and times as Alpaca writes them: money and shares are strings, times RFC 3339."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from execution.alpaca_wire.errors import malformed
from marketdata.clock import NEW_YORK

LONGEST_NUMBER = 40
FIRST_YEAR, LAST_YEAR = 1900, 2200
MOST_DIGITS = 30  # before or after the point; a short text such as 1e999999999 would be a gigabyte written out


def number(value: Decimal | None) -> str | None:
    """Write an amount without trailing zeros or exponent; None stays None."""
    if value is None:
        return None
    return "0" if not value else f"{value.normalize():f}"


def money(value: Decimal) -> str:
    """Write an amount of account currency with at least two decimals."""
    shown = number(value) or "0"
    _, _, decimals = shown.partition(".")
    return shown if len(decimals) >= 2 else f"{value:.2f}"


def moment(value: datetime | None) -> str | None:
    """Write an instant in UTC with microseconds; None stays None."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_york(value: datetime) -> str:
    """Write an instant with New York's offset, as the clock does."""
    return value.astimezone(NEW_YORK).isoformat()


def read_number(name: str, value: object) -> Decimal:
    """Read a number that came as text or as a JSON number (which the caller must have parsed as `Decimal`).

    :raises WireError: 422, naming the field and the value
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal) or len(str(value)) > LONGEST_NUMBER:
        raise malformed(name, value, "a number")
    try:
        read = Decimal(value)
    except InvalidOperation:
        raise malformed(name, value, "a number") from None
    if not read.is_finite() or (read and abs(read.adjusted()) >= MOST_DIGITS):
        raise malformed(name, value, f"a finite number of at most {MOST_DIGITS} digits on either side of the point")
    return read


def require_year(name: str, value: str, year: int) -> None:
    """Refuse years so far away that another time zone's calendar has no such day.

    :raises WireError: 422, naming the field and the value
    """
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise malformed(name, value, f"a year from {FIRST_YEAR} to {LAST_YEAR}")


def read_moment(name: str, value: str) -> datetime:
    """Read an RFC 3339 instant or a date; one without an offset is UTC.

    :raises WireError: 422, naming the field and the value
    """
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise malformed(name, value, "a time such as 2012-06-14T13:30:00Z") from None
    require_year(name, value, read.year)
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)
