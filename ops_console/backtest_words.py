"""Settings, ranges and figures of backtests as people write and read them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from ops_console import figures
from signals.parameters import BadParameter

Form = Literal["signed", "share", "ratio", "fine", "money", "whole"]


@dataclass(frozen=True, slots=True)
class Figure:
    """How one figure is called and written; `better` says which of two runs has the nicer one (0: neither)."""

    name: str
    title: str
    form: Form
    better: int = 0


FIGURES: tuple[Figure, ...] = (
    Figure("total_return", "Return", "signed", 1),
    Figure("annual_return", "Return a year", "signed", 1),
    Figure("annual_volatility", "Volatility a year", "share", -1),
    Figure("sharpe", "Sharpe ratio", "ratio", 1),
    Figure("sortino", "Sortino ratio", "ratio", 1),
    Figure("calmar", "Calmar ratio", "ratio", 1),
    Figure("max_drawdown", "Largest drawdown", "share", -1),
    Figure("longest_drawdown", "Longest drawdown, sessions", "whole", -1),
    Figure("best_day", "Best day", "signed"),
    Figure("worst_day", "Worst day", "signed", 1),
    Figure("days_up", "Days up", "share", 1),
    Figure("beta", "Beta to buy and hold", "ratio"),
    Figure("correlation", "Correlation to it", "ratio"),
    Figure("ic", "IC", "fine", 1),
    Figure("rank_ic", "Rank IC", "fine", 1),
    Figure("turnover", "Turnover a year", "ratio", -1),
    Figure("gross_exposure", "Gross exposure", "share"),
    Figure("net_exposure", "Net exposure", "signed"),
    Figure("orders", "Orders", "whole"),
    Figure("cost_commission", "Commission", "money", -1),
    Figure("cost_spread", "Half spread", "money", -1),
    Figure("cost_impact", "Impact", "money", -1),
    Figure("cost_borrow", "Borrow", "money", -1),
    Figure("cost_total", "All costs", "money", -1),
    Figure("final_equity", "Final equity", "money", 1),
    Figure("sessions", "Sessions", "whole"),
    Figure("benchmark_return", "Buy and hold: return", "signed"),
    Figure("benchmark_sharpe", "Buy and hold: Sharpe ratio", "ratio"),
    Figure("benchmark_drawdown", "Buy and hold: largest drawdown", "share"),
)
BY_NAME = {figure.name: figure for figure in FIGURES}


def written(value: float | int | None, form: Form) -> str:
    """Write a figure; what there is none of is a dash."""
    if value is None:
        return figures.NOTHING
    exact = Decimal(repr(value))
    if form == "signed":
        return figures.percent(exact)
    if form == "share":
        return f"{figures.number(exact * 100)}%"
    if form == "whole":
        return figures.number(exact, 0)
    return figures.number(exact, 4 if form == "fine" else 2)


def tone_of(value: float | int | None, form: Form) -> str:
    """Return gain or loss for what has a sign that means so."""
    return figures.tone(None if value is None else Decimal(repr(value)), 4) if form == "signed" else ""


def assigned(field: str, words: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` words.

    :raises BadParameter: a word is none
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals or not value:
            raise BadParameter(field, word, "name=value")
        found[name] = value_of(value)
    return found


def ranges(field: str, words: Iterable[str]) -> dict[str, Any]:
    """Read `name=low:high` and `name=a,b,c` words into a space to search.

    :raises BadParameter: a word is none
    """
    found: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        low, colon, high = value.partition(":")
        if name and colon:
            found[name] = {"low": value_of(low), "high": value_of(high)}
        elif name and value:
            found[name] = {"choices": [value_of(each) for each in value.split(",")]}
        else:
            raise BadParameter(field, word, "name=low:high or name=a,b,c")
    return found


def value_of(text: str) -> Any:
    """Read a number, true or false, or a word."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def said(parameters: Mapping[str, Any], names: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return parameters as pairs of words, those that are nothing left out."""
    chosen = names or sorted(parameters)
    return [(name.replace("_", " "), _said(parameters.get(name))) for name in chosen if not _nothing(parameters, name)]


def _nothing(parameters: Mapping[str, Any], name: str) -> bool:
    return parameters.get(name) in (None, {}, [], "")


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(_said(each) for each in value)
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return str(value)
