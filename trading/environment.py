"""Read single variables of the process environment, typed; every wrong value is named with what is allowed.

Each variable NAME can also be given as NAME_FILE, a path whose content is the value.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ

T = TypeVar("T")

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


class ConfigurationError(Exception):
    """One or more variables hold values the platform cannot start with; one line each."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("\n".join(lines))


class Reader:
    """Read variables and collect the complaints, so that all of them are told at once."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.given = dict(variables)
        self.source = environ.FileAwareEnv()
        self.source.ENVIRON = environ.fileaware_mapping.FileAwareMapping(env=self.given)
        self.problems: list[str] = []

    def complain(self, name: str, value: str, allowed: str, *, secret: bool = False) -> None:
        """Note one wrong variable; a secret value is never repeated."""
        shown = f"{len(value)} characters" if secret else repr(value)
        self.problems.append(f"{name}: read {shown}; allowed: {allowed}")

    def verify(self) -> None:
        """End the reading.

        :raises ConfigurationError: a variable was wrong or missing
        """
        if self.problems:
            raise ConfigurationError(self.problems)

    def text(self, name: str, default: str = "") -> str:
        """Return the value without white space around it; an empty one counts as not set."""
        try:
            value = str(self.source.str(name, default=default)).strip()
        except OSError as error:
            reason = error.strerror or "cannot be read"
            self.complain(f"{name}_FILE", self.given.get(f"{name}_FILE", ""), f"the path of a readable file ({reason})")
            return default
        return value or default

    def parsed(self, name: str, default: T, parse: Callable[[str], T], allowed: str, *, secret: bool = False) -> T:
        """Return the parsed value; note the complaint and go on with the default where parsing fails."""
        value = self.text(name)
        if not value:
            return default
        try:
            return parse(value)
        except (ValueError, InvalidOperation):
            self.complain(name, value, allowed, secret=secret)
            return default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of a few words."""

        def parse(value: str) -> str:
            if value not in allowed:
                raise ValueError(value)
            return value

        return self.parsed(name, default, parse, " | ".join(allowed))

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return a yes or a no."""

        def parse(value: str) -> bool:
            if value.lower() not in TRUE | FALSE:
                raise ValueError(value)
            return value.lower() in TRUE

        return self.parsed(name, default, parse, "true | false")

    def integer(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        """Return a whole number within bounds."""

        def parse(value: str) -> int:
            if not minimum <= int(value) <= maximum:
                raise ValueError(value)
            return int(value)

        return self.parsed(name, default, parse, f"a whole number from {minimum} to {maximum}")

    def decimal(self, name: str, default: str, *, above: str, maximum: str) -> Decimal:
        """Return an exact number above one bound and not over the other."""

        def parse(value: str) -> Decimal:
            number = Decimal(value)
            if not number.is_finite() or not Decimal(above) < number <= Decimal(maximum):
                raise ValueError(value)
            return number

        return self.parsed(name, Decimal(default), parse, f"a number above {above}, at most {maximum}")

    def words(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the parts between commas or spaces."""
        value = self.text(name)
        return tuple(value.replace(",", " ").split()) if value else default

    def networks(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return addresses or networks, as written."""

        def parse(value: str) -> tuple[str, ...]:
            parts = tuple(value.replace(",", " ").split())
            for part in parts:
                ip_network(part, strict=False)
            return parts

        return self.parsed(name, default, parse, "IP addresses or networks between commas")

    def origins(self, name: str) -> tuple[str, ...]:
        """Return web origins: scheme and host, no path."""

        def parse(value: str) -> tuple[str, ...]:
            parts = tuple(value.replace(",", " ").split())
            for part in parts:
                split = urlsplit(part)
                if split.scheme not in {"http", "https"} or not split.hostname or split.path not in {"", "/"}:
                    raise ValueError(part)
            return tuple(part.rstrip("/") for part in parts)

        return self.parsed(name, (), parse, "origins such as https://desk.example.org between commas")

    def address(self, name: str, schemes: tuple[str, ...]) -> str:
        """Return a URL with one of the schemes, or nothing; it may hold a password and is not repeated."""

        def parse(value: str) -> str:
            split = urlsplit(value)
            if split.scheme not in schemes or not (split.netloc or split.path):
                raise ValueError(value)
            return value

        allowed = "a URL beginning with " + ", ".join(f"{scheme}://" for scheme in schemes)
        return self.parsed(name, "", parse, allowed, secret=True)

    def database(self, name: str) -> dict[str, Any]:
        """Return Django's settings of the PostgreSQL database a URL names, or nothing."""
        value = self.address(name, ("postgres", "postgresql"))
        return dict(self.source.db_url_config(value)) if value else {}

    def path(self, name: str, default: Path) -> Path:
        """Return an absolute path."""
        value = self.text(name)
        return Path(value).expanduser().resolve() if value else default

    def secret(self, name: str, *, required: bool, minimum: int = 32) -> str:
        """Return a secret; one that is given must be long enough, one that is required must be given."""
        value = self.text(name)
        if (value or required) and len(value) < minimum:
            self.complain(name, value, f"a random text of at least {minimum} characters", secret=True)
        return value

    def secrets_after(self, prefix: str) -> dict[str, str]:
        """Return the secrets of all variables with a prefix, by what follows it in lower case."""
        names = {name.removesuffix("_FILE") for name in self.given if name.startswith(prefix)}
        return {name.removeprefix(prefix).lower(): self.secret(name, required=True) for name in sorted(names)}
