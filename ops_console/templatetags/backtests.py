"""What the templates of backtests say with one word."""

from urllib.parse import urlencode

from django import template
from django.urls import reverse

from ops_console.backtest_words import Form, tone_of, written

register = template.Library()


@register.filter
def figure(value: float | int | None, form: Form) -> str:
    """Write a figure; what there is none of is a dash."""
    return written(value if isinstance(value, (int, float)) else None, form)


@register.filter
def figure_tone(value: float | int | None, form: Form) -> str:
    """Return the tone of a figure."""
    return tone_of(value if isinstance(value, (int, float)) else None, form)


@register.filter
def series_source(ids: int | list[int]) -> str:
    """Return the address of the daily series of one or several backtests."""
    wanted = ids if isinstance(ids, list) else [ids]
    return f"{reverse('backtests-series')}?{urlencode([('id', number) for number in wanted])}"


@register.filter
def words(text: str) -> list[str]:
    """Split a text at its blanks."""
    return text.split()
