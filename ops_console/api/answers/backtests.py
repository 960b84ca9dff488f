"""Backtests: where they stand and what came of them. Numbers with a point are texts, as everywhere in the API."""

import math
from decimal import Decimal
from typing import Any

import polars as pl
from rest_framework import serializers

from ops_console.api.answers.parts import Answer, DecimalText, Instant, NullableDecimalText, Shape, names_of, page_of
from signals.models import BacktestKind, BacktestState
from trading.services.backtests import Standing


class BacktestSerializer(Shape):
    """One backtest."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=BacktestKind.choices)
    strategy = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    start_date = serializers.DateField(help_text="First session that trades.")
    end_date = serializers.DateField()
    state = serializers.ChoiceField(choices=BacktestState.choices)
    done = serializers.IntegerField(min_value=0)
    total = serializers.IntegerField(min_value=0, help_text="0 while it is not known.")
    what = serializers.CharField(allow_blank=True, help_text="What is being done.")
    cancel_asked = serializers.BooleanField(help_text="Its end was asked for and has not come yet.")
    error = serializers.CharField(allow_blank=True, help_text="Why it failed.")
    asked_by = serializers.CharField()
    job_id = serializers.IntegerField(allow_null=True, help_text="Null when it was computed by a command.")
    created_at = Instant(help_text="Wall time.")
    started_at = Instant(allow_null=True, help_text="Wall time.")
    finished_at = Instant(allow_null=True, help_text="Wall time.")
    metrics = serializers.DictField(allow_null=True, help_text="Figures by name; null unless it is completed.")


class BacktestDetailSerializer(BacktestSerializer):
    """A backtest with its parameters, the versions it was computed from, and everything told about it."""

    parameters = serializers.DictField()
    seed = serializers.IntegerField()
    code_version = serializers.CharField(allow_blank=True)
    data_version = serializers.CharField(allow_blank=True, help_text="SHA-256 over the adjusted bars.")
    feature_version = serializers.CharField(allow_blank=True)
    model_versions = serializers.DictField(help_text="Version of the registry by strategy.")
    detail = serializers.DictField(
        allow_null=True, help_text="Evaluation of the scores, bootstrap, months, windows, trials."
    )


class BacktestDaySerializer(Shape):
    """One session; amounts in account currency."""

    date = serializers.DateField()
    equity = DecimalText(help_text="After the session's trades and costs, at the close.")
    cash = DecimalText()
    long_value = DecimalText()
    short_value = DecimalText()
    traded = DecimalText(help_text="Notional, both sides.")
    commission = DecimalText()
    spread = DecimalText()
    impact = DecimalText()
    borrow = DecimalText()
    benchmark = DecimalText(help_text="Buy and hold of the same symbols.")
    drawdown = DecimalText(help_text="Fraction lost since the highest equity.")
    ic = NullableDecimalText(
        allow_null=True, help_text="Rank correlation of the session's scores with what came after."
    )


class BacktestDaysSerializer(Shape):
    """Every session of a backtest, oldest first."""

    results = BacktestDaySerializer(many=True)


BacktestPageSerializer = page_of(BacktestSerializer, "BacktestPageSerializer")
STANDING = ("state", "done", "total", "what", "cancel_asked", "error")
ROW = tuple(name for name in names_of(BacktestSerializer) if name not in (*STANDING, "metrics"))
MORE = ("seed", "code_version", "data_version", "feature_version", "model_versions")
DAY_COLUMNS = tuple(name for name in names_of(BacktestDaySerializer) if name != "date")
PLACES = 10


def backtest_answer(standing: Standing) -> Answer:
    """Return one backtest as a list shows it."""
    row = standing.backtest
    return {
        **{name: getattr(row, name) for name in ROW},
        **{name: getattr(standing, name) for name in STANDING},
        "metrics": exact(row.metrics),
    }


def backtest_detail_answer(standing: Standing) -> Answer:
    """Return one backtest with everything."""
    row = standing.backtest
    more = {name: getattr(row, name) for name in MORE}
    return {**backtest_answer(standing), **more, "parameters": exact(row.parameters), "detail": exact(row.detail)}


def backtest_days_answer(days: pl.DataFrame) -> Answer:
    """Return the sessions."""
    rows = [
        {"date": row["date"].isoformat(), **{name: exact(row[name]) for name in DAY_COLUMNS}}
        for row in days.iter_rows(named=True)
    ]
    return {"results": rows}


def exact(value: Any) -> Any:
    """Write every number with a point as text, plainly and with ten digits after it at most; what is none as null."""
    if isinstance(value, dict):
        return {name: exact(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [exact(each) for each in value]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    text = f"{Decimal(repr(value)):.{PLACES}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
