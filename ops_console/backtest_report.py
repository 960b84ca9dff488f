"""What the pages of backtests show, made from a stored run: figures, months, windows, series, comparison, CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from ops_console.backtest_words import FIGURES, Figure, said, tone_of, written
from signals.backtest.files import BacktestFilesMissing, Table, read_table
from signals.models import Backtest

TILES = (
    "total_return", "annual_return", "sharpe", "max_drawdown", "annual_volatility", "turnover", "rank_ic", "cost_total"
)  # fmt: skip
COSTS = ("cost_commission", "cost_spread", "cost_impact", "cost_borrow")
DRAWN = ("sharpe", "max_drawdown", "final_equity")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
ROWS_AT_ONCE = 1000
PATH = {"searched": "where it searched", "held_out": "on the rest"}
SERIES_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Written:
    """A figure on a page."""

    title: str
    text: str
    tone: str = ""
    best: bool = False


class Report:
    """One completed backtest, part by part, as its template asks."""

    def __init__(self, row: Backtest) -> None:
        """Take the stored row; files are read when something is asked of them."""
        self.row = row
        self.metrics: dict[str, Any] = row.metrics or {}
        self.detail: dict[str, Any] = row.detail or {}

    @property
    def tiles(self) -> list[Written]:
        """Return the figures at the top."""
        return [_written(figure, self.metrics) for figure in _named(TILES)]

    @property
    def figures(self) -> list[Written]:
        """Return all figures."""
        return [_written(figure, self.metrics) for figure in FIGURES]

    @property
    def costs(self) -> list[dict[str, Any]]:
        """Return each kind of cost with its share of all of them in percent, and of the capital."""
        total = sum(self.metrics.get(name) or 0.0 for name in COSTS)
        capital = self.row.parameters["capital"]
        return [
            {
                "title": figure.title,
                "text": written(self.metrics.get(figure.name), "money"),
                "percent": round(100 * (self.metrics.get(figure.name) or 0.0) / total) if total else 0,
                "of_capital": written((self.metrics.get(figure.name) or 0.0) / capital, "share"),
            }
            for figure in _named(COSTS)
        ]

    @cached_property
    def months(self) -> list[dict[str, Any]]:
        """Return a row a year: twelve cells, None where there was no session, and the year."""
        years: dict[int, dict[int, float]] = {}
        for month in self.detail.get("months", []):
            years.setdefault(month["year"], {})[month["month"]] = month["return"]
        return [
            {"year": year, "cells": [_heat(months.get(number)) for number in range(1, 13)], "whole": _whole(months)}
            for year, months in sorted(years.items())
        ]

    @property
    def bootstrap(self) -> list[dict[str, str]]:
        """Return observed value and 95% interval of each drawn figure."""
        drawn = self.detail.get("bootstrap")
        if not drawn:
            return []
        return [
            {
                "title": figure.title,
                "observed": written(drawn[figure.name]["observed"], figure.form),
                "error": written(drawn[figure.name]["error"], figure.form),
                "low": written(drawn[figure.name]["quantiles"]["0.025"], figure.form),
                "middle": written(drawn[figure.name]["quantiles"]["0.5"], figure.form),
                "high": written(drawn[figure.name]["quantiles"]["0.975"], figure.form),
            }
            for figure in _named(DRAWN)
        ]

    @property
    def quantiles(self) -> list[dict[str, Any]]:
        """Return the mean return of each quantile of the scores, in basis points a session."""
        told = self.detail.get("evaluation", {}).get("quantiles", [])
        return [
            {
                "number": each["quantile"],
                "mean": written(None if each["mean"] is None else each["mean"] * 1e4, "ratio"),
                "tone": tone_of(each["mean"], "signed"),
                "days": each["days"],
            }
            for each in told
        ]

    @property
    def information(self) -> list[dict[str, Any]]:
        """Return IC and rank IC of the next session, and the decay of the rank IC."""
        told = self.detail.get("evaluation", {})
        rows = [("IC, next session", told.get("ic")), ("Rank IC, next session", told.get("rank_ic"))]
        rows += [(f"Rank IC, {held} sessions held", each) for held, each in told.get("ic_decay", {}).items()]
        return [
            {
                "title": title,
                "mean": written(each["mean"], "fine"),
                "icir": written(each["icir"], "ratio"),
                "t": written(each["t"], "ratio"),
                "positive": written(each["positive"], "share"),
                "days": each["days"],
            }
            for title, each in rows
            if each
        ]

    @property
    def windows(self) -> list[dict[str, Any]]:
        """Return the windows of a walk forward."""
        return [
            {
                **window,
                "return": written(window["return"], "signed"),
                "tone": tone_of(window["return"], "signed"),
                "sharpe": written(window["sharpe"], "ratio"),
            }
            for window in self.detail.get("windows", [])
        ]

    @property
    def trials(self) -> list[dict[str, Any]]:
        """Return the best trials of a search."""
        told = self.detail.get("trials", [])[:20]
        return [
            {"number": each["number"] + 1, "said": said(each["parameters"]), "value": written(each["value"], "ratio")}
            for each in told
        ]

    @property
    def parts(self) -> list[dict[str, str]]:
        """Return what the searched part and the rest of a search were worth."""
        return [
            {
                "title": title,
                "return": written(self.detail[name]["annual_return"], "signed"),
                "sharpe": written(self.detail[name]["sharpe"], "ratio"),
                "drawdown": written(self.detail[name]["max_drawdown"], "share"),
            }
            for name, title in PATH.items()
            if self.detail.get(name)
        ]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """Return what was asked for."""
        return said(self.row.parameters)

    @property
    def has_files(self) -> bool:
        """Tell whether the rows of the run can be read here."""
        try:
            read_table(self.row.key, "days")
        except BacktestFilesMissing:
            return False
        return True


def series_of(row: Backtest) -> dict[str, Any]:
    """Return the daily series of a run for charts, oldest first; empty where its rows are gone."""
    name = row.title or f"{row.strategy} {row.pk}"
    try:
        days = read_table(row.key, "days")
    except BacktestFilesMissing as error:
        return {"id": row.pk, "name": name, "dates": [], "missing": str(error)}
    equity = pl.col("equity")
    columns = days.select(
        "equity",
        "benchmark",
        drawdown=-pl.col("drawdown"),
        long=pl.col("long_value") / equity,
        short=-pl.col("short_value") / equity,
        net=(pl.col("long_value") - pl.col("short_value")) / equity,
        turnover=pl.col("traded") / equity,
        relative=equity / row.parameters["capital"],
        ic=pl.col("ic").fill_null(0.0).cum_sum(),
    )
    rounded = columns.select(pl.all().round(SERIES_DIGITS).fill_nan(None)).to_dict(as_series=False)
    return {"id": row.pk, "name": name, "dates": [day.isoformat() for day in days["date"]], **rounded}


def comparison(rows: Sequence[Backtest]) -> dict[str, Any]:
    """Return the parameters in which runs differ, and all their figures with the nicest marked."""
    keys = sorted({key for row in rows for key in row.parameters})
    told = [dict(said(row.parameters)) for row in rows]
    differing = [
        {"title": key.replace("_", " "), "cells": [each.get(key.replace("_", " "), "—") for each in told]}
        for key in keys
        if len({str(row.parameters.get(key)) for row in rows}) > 1
    ]
    for title, cells in _versions(rows):
        if len(set(cells)) > 1:
            differing.append({"title": title, "cells": cells})
    return {"parameters": differing, "figures": [_compared(figure, rows) for figure in FIGURES]}


def csv_lines(row: Backtest, table: Table) -> Iterator[str]:
    """Return a table as lines of CSV.

    :raises BacktestFilesMissing: its rows are gone
    """
    frame = read_table(row.key, table)
    return _csv(frame)


def _csv(frame: pl.DataFrame) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(frame.columns)
    for number, values in enumerate(frame.iter_rows(), start=1):
        writer.writerow(["" if value is None else _safe(value) for value in values])
        if number % ROWS_AT_ONCE == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _safe(value: Any) -> Any:
    """Keep a spreadsheet from computing a text; numbers are numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _versions(rows: Sequence[Backtest]) -> list[tuple[str, list[str]]]:
    return [
        ("kind", [row.get_kind_display() for row in rows]),
        ("code", [row.code_version for row in rows]),
        ("data", [row.data_version[:12] for row in rows]),
        ("features", [row.feature_version or "—" for row in rows]),
    ]


def _compared(figure: Figure, rows: Sequence[Backtest]) -> dict[str, Any]:
    values = [(row.metrics or {}).get(figure.name) for row in rows]
    known = [value * figure.better for value in values if value is not None]
    best = max(known) if figure.better and len(set(known)) > 1 else None
    cells = [
        Written("", written(value, figure.form), tone_of(value, figure.form), _is_best(value, figure, best))
        for value in values
    ]
    return {"title": figure.title, "cells": cells}


def _is_best(value: float | None, figure: Figure, best: float | None) -> bool:
    return best is not None and value is not None and value * figure.better == best


def _written(figure: Figure, metrics: dict[str, Any]) -> Written:
    value = metrics.get(figure.name)
    return Written(figure.title, written(value, figure.form), tone_of(value, figure.form))


def _named(names: Sequence[str]) -> list[Figure]:
    known = {figure.name: figure for figure in FIGURES}
    return [known[name] for name in names]


def _heat(value: float | None) -> dict[str, Any] | None:
    """Return a month's cell: its text and how strong its colour is, −3 to 3."""
    if value is None:
        return None
    strength = 3 if abs(value) >= 0.05 else 2 if abs(value) >= 0.02 else 1
    return {"text": written(value, "signed"), "heat": strength if value > 0 else -strength if value < 0 else 0}


def _whole(months: dict[int, float]) -> dict[str, Any] | None:
    grown = 1.0
    for value in months.values():
        grown *= 1.0 + value
    return _heat(grown - 1.0)
