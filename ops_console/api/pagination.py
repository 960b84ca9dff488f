"""Pages that stay put while rows come in: each begins after the last row of the one before, never at a count."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet

from ops_console.api import fields
from ops_console.api.problems import invalid

Row = TypeVar("Row", bound=Model)

DEFAULT_LIMIT, MOST = 100, 500
PAGE_FIELDS: dict[str, fields.Field] = {
    "limit": fields.whole("Rows on a page.", least=1, most=MOST, default=DEFAULT_LIMIT),
    "cursor": fields.pattern(
        r"^[A-Za-z0-9_-]{1,64}$",
        "the next_cursor of the page before",
        "Where the page begins: the next_cursor of the page before.",
        "aWQ6MTIz",
    ),
}
MARK = re.compile(r"id:([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows of one page and where the next one begins (None: there is none)."""

    rows: list[Row]
    next_cursor: str | None

    def body(self, represent: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
        """Return the answer."""
        return {"results": [represent(row) for row in self.rows], "next_cursor": self.next_cursor}


def newest_first(rows: QuerySet[Row], *, limit: int, cursor: str | None) -> Page[Row]:
    """Return one page, newest first, in one query.

    :raises Problem: the cursor is not one of ours
    """
    ordered = rows.order_by("-pk")
    if cursor is not None:
        ordered = ordered.filter(pk__lt=read_cursor(cursor))
    found = list(ordered[: limit + 1])
    return Page(found[:limit], write_cursor(found[limit - 1].pk) if len(found) > limit else None)


def write_cursor(position: int) -> str:
    """Return the opaque form of a position."""
    return base64.urlsafe_b64encode(f"id:{position}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> int:
    """Return the position that a cursor stands for.

    :raises Problem: the cursor is not one of ours
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise invalid("cursor", cursor, "the next_cursor of the page before") from error
    mark = MARK.fullmatch(text)
    if mark is None:
        raise invalid("cursor", cursor, "the next_cursor of the page before")
    return int(mark[1])
