"""An answer as CSV or JSON."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from trading.sql.run import Answer

FORMULA = ("=", "+", "-", "@", "\t", "\r")
NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
APPROXIMATE = ("DOUBLE", "FLOAT")
NOT_IN_JSON = frozenset({"nan", "-nan", "inf", "-inf"})


def as_csv(answer: Answer) -> str:
    """Return the rows as CSV that a spreadsheet reads as data: text that begins like a formula gets an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_harmless(name) for name, _ in answer.columns)
    numeric = [is_number(kind) for _, kind in answer.columns]
    for row in answer.rows:
        writer.writerow(_cell(value, plain) for value, plain in zip(row, numeric, strict=True))
    return out.getvalue()


def as_json(answer: Answer) -> dict[str, Any]:
    """Return the answer as one document: whole numbers and doubles as numbers, exact decimals and all else as text."""
    kinds = [kind for _, kind in answer.columns]
    return {
        "columns": [{"name": name, "type": kind} for name, kind in answer.columns],
        "rows": [[_value(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in answer.rows],
        "row_count": len(answer.rows),
        "truncated": bool(answer.truncated),
        "tables": answer.tables,
        "milliseconds": answer.milliseconds,
    }


def is_number(kind: str) -> bool:
    """Say whether a column holds numbers, to be set to the right."""
    return kind in NUMBERS or kind in APPROXIMATE or kind.startswith("DECIMAL")


def shown(row: Sequence[str | None]) -> list[str]:
    """Return a row for a terminal: what has no value is shown as such, control characters are not obeyed."""
    return ["–" if value is None else _printable(value) for value in row]


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _cell(value: str | None, numeric: bool) -> str:
    if value is None:
        return ""
    return value if numeric else _harmless(value)


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _value(value: str | None, kind: str) -> Any:
    if value is None or (kind not in NUMBERS and kind not in APPROXIMATE):
        return value
    return value if value in NOT_IN_JSON else json.loads(value)
