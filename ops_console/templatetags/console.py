"""What the templates say with one word: live cells, numbers, times, chips."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from execution.states import OrderStatus
from ops_console import figures
from ops_console.snapshot.board import Cell, Topic
from ops_console.use import number_in
from risk.states import AlertSeverity, AlertState
from trading.states import RunState, StepState

register = template.Library()

for _format in (
    figures.number,
    figures.signed,
    figures.marked,
    figures.percent,
    figures.quantity,
    figures.tone,
    figures.duration,
    figures.new_york,
    figures.new_york_time,
    figures.utc,
    figures.epoch_ms,
):
    register.filter(_format.__name__, _format)

STATUS_TONES: dict[str, str] = {
    OrderStatus.FILLED: "good",
    OrderStatus.DENIED: "bad",
    OrderStatus.REJECTED: "bad",
    OrderStatus.PENDING: "working",
    OrderStatus.SUBMITTED: "working",
    OrderStatus.ACCEPTED: "working",
    OrderStatus.PARTIALLY_FILLED: "working",
    OrderStatus.PENDING_CANCEL: "warn",
    OrderStatus.PENDING_REPLACE: "warn",
    RunState.COMPLETED: "good",
    RunState.FAILED: "bad",
    RunState.RUNNING: "working",
    RunState.AWAITING_FILLS: "working",
    StepState.COMPLETED: "good",
    "approved": "good",
    AlertSeverity.CRITICAL: "bad",
    AlertSeverity.WARNING: "warn",
    AlertState.OPEN: "bad",
    AlertState.ACKNOWLEDGED: "warn",
    AlertState.RESOLVED: "good",
}


@register.simple_tag
def live(topic: Topic | None, key: str, tag: str = "span", css: str = "") -> SafeString:
    """Write a cell that the socket keeps up to date; without a value it says so and is never green."""
    cell = topic.cells.get(key) if topic is not None else None
    shown = cell or Cell(figures.NOTHING, "unknown")
    return format_html(
        '<{} data-live="{}" data-tone="{}" class="{}">{}</{}>', tag, key, shown.tone, css, shown.text, tag
    )


@register.simple_tag
def cell(topic: Topic | None, key: str) -> Cell:
    """Return a cell to a template that needs its parts."""
    found = topic.cells.get(key) if topic is not None else None
    return found or Cell(figures.NOTHING, "unknown")


@register.simple_tag
def chip(status: str) -> SafeString:
    """Write a status as a chip: the word, and a mark whose shape differs with its meaning."""
    tone = STATUS_TONES.get(status, "")
    return format_html('<span class="chip" data-tone="{}">{}</span>', tone, status.replace("_", " "))


@register.filter
def status_tone(status: str) -> str:
    """Return the tone of a status."""
    return STATUS_TONES.get(status, "")


@register.filter
def price(value: Decimal | None) -> str:
    """Write a price: two decimals, four where a price has them."""
    if value is None:
        return figures.NOTHING
    places = 2 if value == value.quantize(Decimal("0.01")) else 4
    return figures.number(value, places)


@register.filter
def detail_text(detail: Mapping[str, Any]) -> str:
    """Write what an event carries in one line; numbers without the zeros they are stored with."""
    return " \u00b7 ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in detail.items() if value != "")


def _plain(value: object) -> str:
    found = number_in(value) if isinstance(value, str) and "." in value else None
    return str(value) if found is None else figures.quantity(found)


@register.filter
def measure(value: Decimal | None, unit: str) -> str:
    """Write a limit's value: counts and shares as they are, the rest with two decimals."""
    if unit in ("shares", "names", "orders", "s", "min", "bps"):
        return figures.quantity(value)
    return figures.number(value)


@register.filter
def short_day(at: datetime | None) -> str:
    """Write the exchange's date and time without the year and the seconds."""
    return figures.NOTHING if at is None else f"{at.astimezone(figures.NEW_YORK):%m-%d %H:%M}"


@register.filter
def html_of(topics: Mapping[str, Topic], name: str) -> str:
    """Return a panel that was rendered before."""
    topic = topics.get(name)
    return SafeString(topic.html or "") if topic else ""


@register.filter
def rows_of(topics: Mapping[str, Topic], name: str) -> str:
    """Return the rows of a table that were rendered before."""
    topic = topics.get(name)
    return SafeString("".join((topic.rows or {}).values())) if topic else ""


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changes: Any) -> str:
    """Return the page's query string with some parameters set, or removed where the value is empty."""
    params: QueryDict = context["request"].GET.copy()
    for name, value in changes.items():
        params.pop(name, None)
        if value not in (None, ""):
            params[name] = str(value)
    return f"?{params.urlencode()}" if params else "?"
