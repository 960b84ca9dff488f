"""What a field may hold: one object that reads it strictly and describes itself in the OpenAPI document.

Nothing is coerced: a boolean is not a number, "1e3" is not a quantity, an unknown name is an error. Every problem of a
request is reported at once.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.db.models import TextChoices

from marketdata.models.instruments import SYMBOL_PATTERN
from ops_console.api.codes import FieldError, shown
from ops_console.api.problems import invalid_fields

MOST_DIGITS = 30
DECIMAL_FORM = re.compile(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}(\.[0-9]{{1,{MOST_DIGITS}}})?")
STRATEGY_FORM = r"^[A-Za-z0-9_-]{1,40}$"
CLIENT_ID_FORM = r"^[A-Za-z0-9._:-]{1,128}$"
PRINTABLE = r"^[\x21-\x7e]{1,128}$"
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
LONGEST_REASON, SHORTEST_REASON = 500, 10
MOST_SYMBOLS = 100
# `GET /orders/preview` is an address of its own, so an order of that name could never be asked for.
RESERVED_IDS = frozenset({"preview", "cancel-all", "slice"})
Schema = dict[str, Any]
Choices = TypeVar("Choices", bound=TextChoices)


class Refused(ValueError):
    """The value is not one of those that the field allows."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `read` returns the value or raises `Refused`; `schema` is its JSON Schema."""

    read: Callable[[Any], Any]
    allowed: str
    schema: Schema = field(hash=False)
    help: str = ""
    required: bool = False
    default: Any = None
    nullable: bool = False

    def but(self, **changes: Any) -> "Field":
        """Return a copy with other attributes."""
        return replace(self, **changes)

    def described(self) -> Schema:
        """Return the JSON Schema with help and default."""
        schema = dict(self.schema)
        if self.nullable and isinstance(schema.get("type"), (str, list)):
            kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            schema["type"] = [*kinds, "null"]
        if self.help:
            schema["description"] = self.help
        if self.default is not None:
            schema["default"] = str(self.default) if isinstance(self.default, Decimal) else self.default
        return schema


Fields = Mapping[str, Field]


def read_fields(data: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Return every field's value, defaults filled in.

    :raises Problem: unknown, missing or refused fields, all of them listed
    """
    allowed = f"one of {', '.join(fields)}" if fields else "no field at all"
    errors = [FieldError(shown(name), shown(data[name]), allowed) for name in data if name not in fields]
    values: dict[str, Any] = {}
    for name, spec in fields.items():
        raw = data.get(name)
        if raw is None:
            if spec.required and not (spec.nullable and name in data):
                errors.append(FieldError(name, "", f"required: {spec.allowed}"))
            values[name] = spec.default
            continue
        try:
            values[name] = spec.read(raw)
        except Refused:
            errors.append(FieldError(name, shown(raw), spec.allowed))
    if errors:
        raise invalid_fields(errors)
    return values


def object_schema(fields: Fields, *, example: Schema | None = None) -> Schema:
    """Return the JSON Schema of a body with these fields and no other."""
    schema: Schema = {
        "type": "object",
        "properties": {name: spec.described() for name, spec in fields.items()},
        "additionalProperties": False,
    }
    required = [name for name, spec in fields.items() if spec.required]
    if required:
        schema["required"] = required
    if example is not None:
        schema["example"] = example
    return schema


def decimal_number(help: str, **options: Any) -> Field:
    """Return a field for money, a price or a quantity: a string, or a JSON number taken digit by digit."""
    allowed = f"a plain decimal number as a string, at most {MOST_DIGITS} digits on either side of the point"
    schema = {"type": "string", "format": "decimal", "pattern": f"^{DECIMAL_FORM.pattern}$", "example": "100.5"}
    return Field(_decimal, allowed, schema, help, **options)


def _decimal(raw: Any) -> Decimal:
    if isinstance(raw, str):
        if DECIMAL_FORM.fullmatch(raw) is None:
            raise Refused
        return Decimal(raw)
    if isinstance(raw, bool) or not isinstance(raw, (int, Decimal)):
        raise Refused
    value = Decimal(raw)
    if value and abs(value.adjusted()) >= MOST_DIGITS:
        raise Refused
    return value


def choice(kind: type[Choices], help: str, **options: Any) -> Field:
    """Return a field for one word of a closed list."""
    members = {str(member.value): member for member in kind}

    def read(raw: Any) -> Choices:
        if not isinstance(raw, str) or raw not in members:
            raise Refused
        return members[raw]

    return Field(read, f"one of {', '.join(members)}", {"type": "string", "enum": list(members)}, help, **options)


def pattern(form: str, allowed: str, help: str, example: str, **options: Any) -> Field:
    """Return a field for ASCII text of a given form."""
    compiled = re.compile(form, re.ASCII)

    def read(raw: Any) -> str:
        # `fullmatch`, because `$` also matches before a final line feed.
        if not isinstance(raw, str) or compiled.fullmatch(raw) is None:
            raise Refused
        return raw

    return Field(read, allowed, {"type": "string", "pattern": form, "example": example}, help, **options)


def symbol(**options: Any) -> Field:
    """Return a field for a ticker."""
    allowed = "1 to 16 upper-case letters, digits, points and hyphens, beginning with a letter"
    return pattern(SYMBOL_PATTERN, allowed, "Ticker of the instrument.", "AAPL", **options)


def symbols(**options: Any) -> Field:
    """Return a field for several tickers with commas between them (a query parameter)."""
    single = symbol()

    def read(raw: Any) -> list[str]:
        parts = raw.split(",") if isinstance(raw, str) else []
        if not 1 <= len(parts) <= MOST_SYMBOLS:
            raise Refused
        return list(dict.fromkeys(single.read(part) for part in parts))

    schema = {"type": "string", "example": "AAPL,IBM"}
    return Field(read, f"1 to {MOST_SYMBOLS} tickers, comma between", schema, "Tickers, comma between.", **options)


def symbol_list(**options: Any) -> Field:
    """Return a field for several tickers in a list (a body)."""
    single = symbol()

    def read(raw: Any) -> list[str]:
        if not isinstance(raw, list) or not 1 <= len(raw) <= MOST_SYMBOLS:
            raise Refused
        return list(dict.fromkeys(single.read(part) for part in raw))

    schema = {
        "type": "array",
        "items": single.schema,
        "minItems": 1,
        "maxItems": MOST_SYMBOLS,
        "example": ["AAPL", "IBM"],
    }
    return Field(read, f"a list of 1 to {MOST_SYMBOLS} tickers", schema, "Tickers.", **options)


def strategy(help: str = "Name of the strategy that owns it.", **options: Any) -> Field:
    """Return a field for the name of a strategy."""
    return pattern(STRATEGY_FORM, "1 to 40 letters, digits, hyphens and underscores", help, "manual", **options)


def client_order_id(**options: Any) -> Field:
    """Return a field for an order's own id."""
    allowed = "1 to 128 letters, digits, points, underscores, colons and hyphens, but not the last part of an address"
    help = "Your own id of the order; made from its content when left out."
    plain = pattern(CLIENT_ID_FORM, allowed, help, "my-order-1", **options)

    def read(raw: Any) -> str:
        text: str = plain.read(raw)
        if text in RESERVED_IDS:
            raise Refused
        return text

    return plain.but(read=read)


def boolean(help: str, **options: Any) -> Field:
    """Return a field for true or false."""

    def read(raw: Any) -> bool:
        if isinstance(raw, bool):
            return raw
        raise Refused

    return Field(read, "true or false", {"type": "boolean"}, help, **options)


def flag(help: str, **options: Any) -> Field:
    """Return a field for true or false in a query."""

    def read(raw: Any) -> bool:
        if raw not in ("true", "false"):
            raise Refused
        return bool(raw == "true")

    return Field(read, "true or false", {"type": "boolean"}, help, **options)


def reason(help: str = "Why, for the auditor.", **options: Any) -> Field:
    """Return a field for the reason of an act that an auditor will read about."""
    allowed = f"{SHORTEST_REASON} to {LONGEST_REASON} printable characters"

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or CONTROL.search(raw):
            raise Refused
        if not SHORTEST_REASON <= len(raw.strip()) <= LONGEST_REASON:
            raise Refused
        return raw.strip()

    schema = {
        "type": "string",
        "minLength": SHORTEST_REASON,
        "maxLength": LONGEST_REASON,
        "example": "stale prices since the open",
    }
    return Field(read, allowed, schema, help, **options)


def whole(help: str, *, least: int, most: int, **options: Any) -> Field:
    """Return a field for a whole number; in a query it comes as digits."""

    def read(raw: Any) -> int:
        if isinstance(raw, str) and re.fullmatch(r"[0-9]{1,18}", raw):
            raw = int(raw)
        if isinstance(raw, bool) or not isinstance(raw, int) or not least <= raw <= most:
            raise Refused
        return raw

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Field(read, f"a whole number from {least} to {most}", schema, help, **options)


def day(help: str, **options: Any) -> Field:
    """Return a field for a date."""

    def read(raw: Any) -> date:
        if not isinstance(raw, str) or re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", raw) is None:
            raise Refused
        try:
            return date.fromisoformat(raw)
        except ValueError as error:
            raise Refused from error

    return Field(read, "a date as YYYY-MM-DD", {"type": "string", "format": "date"}, help, **options)


def instant(help: str, **options: Any) -> Field:
    """Return a field for a time with its offset."""

    def read(raw: Any) -> datetime:
        if not isinstance(raw, str) or len(raw) > 40:
            raise Refused
        try:
            value = datetime.fromisoformat(raw.replace(" ", "+"))  # an unescaped + arrives as a blank
            if value.tzinfo is None:
                raise Refused
            return value.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise Refused from error

    allowed = "an ISO 8601 time with its offset, e.g. 2012-06-14T14:30:00Z"
    return Field(read, allowed, {"type": "string", "format": "date-time"}, help, **options)
