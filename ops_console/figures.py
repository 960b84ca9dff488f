"""How numbers and times are written on every page: one format for each kind, `—` for what is not known."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
NOTHING = "\u2014"
MINUS = "\u2212"
UP, DOWN = "\u25b2", "\u25bc"
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def number(value: Decimal | int | None, places: int = 2) -> str:
    """Write a number with thousands separators and fixed decimals; rounding is half up, as on a statement."""
    if value is None:
        return NOTHING
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    text = f"{abs(rounded):,.{places}f}"
    return f"{MINUS}{text}" if rounded < 0 else text


def signed(value: Decimal | int | None, places: int = 2) -> str:
    """Write a number with its sign always shown; zero has none."""
    text = number(value, places)
    return f"+{text}" if value is not None and tone(value, places) == "gain" else text


def marked(value: Decimal | int | None, places: int = 2) -> str:
    """Write a gain or loss with sign and arrow, so that it does not hang on colour."""
    arrow = {"gain": f"{UP} ", "loss": f"{DOWN} "}.get(tone(value, places), "")
    return f"{arrow}{signed(value, places)}"


def percent(value: Decimal | None, places: int = 2) -> str:
    """Write a share (0.05) as a signed percentage (+5.00%)."""
    return NOTHING if value is None else f"{signed(value * 100, places)}%"


def quantity(value: Decimal | int | None) -> str:
    """Write shares: whole ones without decimals, fractions as exact as they are."""
    if value is None:
        return NOTHING
    exact = Decimal(value).normalize()
    text = f"{abs(exact):,f}"
    return f"{MINUS}{text}" if exact < 0 else text


def tone(value: Decimal | int | None, places: int = 2) -> str:
    """Say whether a number reads as gain, loss or neither at the decimals it is shown with."""
    if value is None:
        return "unknown"
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return "gain" if rounded > 0 else "loss" if rounded < 0 else "flat"


def duration(seconds: int) -> str:
    """Write a span in its largest unit, and the next one where it matters: `42 s`, `5 min`, `2 h 05 min`, `3 d`."""
    whole = max(seconds, 0)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02d} min"
    return f"{whole // DAY} d"


def new_york(at: datetime | None) -> str:
    """Write an instant in exchange time."""
    return NOTHING if at is None else f"{at.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}"


def new_york_time(at: datetime | None) -> str:
    """Write the time of day in exchange time."""
    return NOTHING if at is None else f"{at.astimezone(NEW_YORK):%H:%M:%S}"


def utc(at: datetime | None) -> str:
    """Write an instant in UTC; the database session already is in UTC."""
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def epoch_ms(at: datetime | None) -> int | None:
    """Return the instant as a browser counts: milliseconds since 1970."""
    return None if at is None else int(at.timestamp() * 1_000)
