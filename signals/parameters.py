"""Parameters of long work as they come from outside: read one by one, refused by name, value and what is allowed."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, TypeVar

LONGEST_TEXT = 200
LONGEST_SHOWN = 80
MOST_SYMBOLS = 10_000
LONGEST_SYMBOL = 32

Value = TypeVar("Value")


class BadParameter(ValueError):
    """A parameter cannot be accepted; says which, what was read (shortened) and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = _shown(value)
        self.allowed = allowed
        super().__init__(f"{field} = {self.value}: allowed is {allowed}")


class _Required:
    """Marks a parameter without a default."""


REQUIRED: Final = _Required()


class Parameters:
    """Reads a mapping name by name; `finish` refuses what nobody asked for.

    A missing or null value is the default; without one it is refused.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)
        self._asked: list[str] = []

    def text(self, name: str, default: Any = REQUIRED, *, choices: Sequence[str] = ()) -> Any:
        """Return a text of at most 200 characters, one of `choices` when there are any."""
        allowed = f"one of {', '.join(choices)}" if choices else f"1 to {LONGEST_TEXT} characters"

        def read(value: Any) -> str:
            if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_TEXT or (choices and value not in choices):
                raise BadParameter(name, value, allowed)
            return value

        return self._read(name, default, allowed, read)

    def whole(self, name: str, default: Any = REQUIRED, *, least: int, most: int) -> Any:
        """Return a whole number between the bounds; true and false are none."""
        allowed = f"a whole number from {least} to {most}"

        def read(value: Any) -> int:
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise BadParameter(name, value, allowed)
            return value

        return self._read(name, default, allowed, read)

    def number(self, name: str, default: Any = REQUIRED, *, least: float, most: float) -> Any:
        """Return a finite number between the bounds as float64."""
        allowed = f"a number from {least:g} to {most:g}"

        def read(value: Any) -> float:
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise BadParameter(name, value, allowed)
            if not math.isfinite(value) or not least <= value <= most:
                raise BadParameter(name, value, allowed)
            return float(value)

        return self._read(name, default, allowed, read)

    def flag(self, name: str, default: Any = REQUIRED) -> Any:
        """Return true or false."""

        def read(value: Any) -> bool:
            if not isinstance(value, bool):
                raise BadParameter(name, value, "true or false")
            return value

        return self._read(name, default, "true or false", read)

    def day(self, name: str, default: Any = REQUIRED) -> Any:
        """Return a date."""
        allowed = "a date as YYYY-MM-DD"

        def read(value: Any) -> date:
            try:
                return date.fromisoformat(value)
            except (TypeError, ValueError):
                raise BadParameter(name, value, allowed) from None

        return self._read(name, default, allowed, read)

    def symbols(self, name: str = "symbols", default: Any = REQUIRED) -> Any:
        """Return symbols in the order given, each once, at least one."""
        allowed = f"a list of 1 to {MOST_SYMBOLS} symbols"

        def read(value: Any) -> tuple[str, ...]:
            if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= MOST_SYMBOLS:
                raise BadParameter(name, value, allowed)
            for symbol in value:
                if not isinstance(symbol, str) or not 1 <= len(symbol) <= LONGEST_SYMBOL:
                    raise BadParameter(name, symbol, f"symbols of 1 to {LONGEST_SYMBOL} characters")
            return tuple(dict.fromkeys(value))

        return self._read(name, default, allowed, read)

    def mapping(self, name: str, default: Any = REQUIRED, *, most: int = 40) -> Any:
        """Return an object whose names have 1 to 64 characters; its values are the caller's to read."""
        allowed = f"an object with at most {most} names of 1 to 64 characters"

        def read(value: Any) -> dict[str, Any]:
            if not isinstance(value, dict) or len(value) > most:
                raise BadParameter(name, value, allowed)
            for key in value:
                if not isinstance(key, str) or not 1 <= len(key) <= 64:
                    raise BadParameter(f"{name}.{key}", key, allowed)
            return dict(value)

        return self._read(name, default, allowed, read)

    def finish(self) -> None:
        """Refuse names that nobody has read.

        :raises BadParameter: the first of them
        """
        for name, value in self._given.items():
            if name not in self._asked:
                raise BadParameter(name, value, f"only {', '.join(sorted(self._asked)) or 'nothing'}")

    def _read(self, name: str, default: Any, allowed: str, read: Callable[[Any], Value]) -> Any:
        self._asked.append(name)
        value = self._given.get(name)
        if value is not None:
            return read(value)
        if default is REQUIRED:
            raise BadParameter(name, value, f"{allowed}; it is needed")
        return default


def ordered(start: date, end: date, *, field: str = "end") -> None:
    """Refuse a range that ends before it begins.

    :raises BadParameter: it does
    """
    if end < start:
        raise BadParameter(field, end.isoformat(), f"a date from {start.isoformat()} on")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = text[: LONGEST_SHOWN * 2].encode("ascii", "backslashreplace").decode("ascii")
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}~"
