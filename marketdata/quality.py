"""The quality gate: which bars may enter the lake, and why the others may not. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import polars as pl

from marketdata.adjustment import adjust
from marketdata.calendar import is_session, sessions_between
from marketdata.lake import KEY_COLUMN, PRICE_COLUMNS, VALUE_COLUMNS, bar_schema
from marketdata.types import QualityRule, Timeframe

TIE = 1e-9
"""A return this close to the threshold reaches it, and does not exceed it: 13 / 10 - 1 is above 0.3 in binary."""
_Broken = dict[int, tuple[QualityRule, str]]
"""Row number to the rule it breaks and what was seen."""


@dataclass(frozen=True, slots=True)
class BarFinding:
    """A bar that was kept out: its values as they came, the rule it breaks, and what was seen."""

    symbol: str
    at: datetime
    values: dict[str, float | None]
    rule: QualityRule
    detail: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A session without a bar, between the symbol's first and last one."""

    symbol: str
    date: date


@dataclass(frozen=True, slots=True)
class GateResult:
    """Every row of the input is in `accepted` or in `findings`; gaps are rows that were not there."""

    accepted: pl.DataFrame
    findings: list[BarFinding]
    gaps: list[Gap]


def check_bars(
    frame: pl.DataFrame,
    *,
    actions: pl.DataFrame,
    outlier_threshold: float,
    now: datetime,
    timeframe: str = Timeframe.DAY,
    history: pl.DataFrame | None = None,
) -> GateResult:
    """Judge raw bars (columns of `lake.bar_schema`); the first rule a bar breaks is the one named.

    An absolute return above the threshold is an outlier unless splits and dividends explain it. `history` is at least
    the last bar of each symbol before the frame: the first return and the first gap are measured from it.
    """
    wanted = Timeframe(timeframe)
    key = KEY_COLUMN[wanted]
    rows = frame.select(bar_schema(wanted).names()).sort("symbol", key, maintain_order=True).with_row_index("row")
    broken = _value_findings(rows, key, wanted, now)
    _add(broken, _duplicates(rows.filter(~pl.col("row").is_in(list(broken))), key))
    sound = rows.filter(~pl.col("row").is_in(list(broken)))
    if wanted == Timeframe.DAY:
        _add(broken, _outliers(sound, history, actions, outlier_threshold))
    findings = [
        _finding(row, key, *broken[row["row"]])
        for row in rows.filter(pl.col("row").is_in(list(broken))).iter_rows(named=True)
    ]
    accepted = rows.filter(~pl.col("row").is_in(list(broken))).drop("row")
    gaps = _gaps(rows, history) if wanted == Timeframe.DAY else []
    return GateResult(accepted, findings, gaps)


def _value_findings(rows: pl.DataFrame, key: str, timeframe: Timeframe, now: datetime) -> _Broken:
    """Find what a bar alone shows."""
    prices = [pl.col(name) for name in PRICE_COLUMNS]
    finite = pl.all_horizontal(pl.col(name).is_finite().fill_null(value=False) for name in VALUE_COLUMNS)
    highest, lowest = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    latest = now.date() if timeframe == Timeframe.DAY else now
    rules: list[tuple[QualityRule, pl.Expr, str]] = [
        (QualityRule.NOT_FINITE, ~finite, "a value is missing or not a number"),
        (
            QualityRule.NON_POSITIVE_PRICE,
            pl.any_horizontal(price <= 0 for price in prices),
            "a price is not above zero",
        ),
        (QualityRule.NON_POSITIVE_VOLUME, pl.col("volume") <= 0, "the volume is not above zero"),
        (
            QualityRule.OHLC_INCONSISTENT,
            (pl.col("high") < highest) | (pl.col("low") > lowest),
            "open or close lies outside low to high",
        ),
        (QualityRule.FUTURE_DATE, pl.col(key) > latest, f"later than {latest.isoformat()}"),
    ]
    broken: _Broken = {}
    for rule, condition, detail in rules:
        _add(broken, dict.fromkeys(rows.filter(condition)["row"], (rule, detail)))
    days = rows[key].cast(pl.Date).unique()
    closed = [day for day in days if not is_session(day)]
    off = rows.filter(pl.col(key).cast(pl.Date).is_in(closed))["row"]
    _add(broken, dict.fromkeys(off, (QualityRule.NOT_A_SESSION, "the exchange is closed that day")))
    return broken


def _duplicates(rows: pl.DataFrame, key: str) -> _Broken:
    """Find bars given twice: of identical ones the first is kept, of contradicting ones none."""
    repeated = rows.filter(pl.struct("symbol", key).is_duplicated())
    broken: _Broken = {}
    for _, group in repeated.group_by("symbol", key, maintain_order=True):
        identical = group.drop("row").n_unique() == 1
        detail = "repeated, identical; one is kept" if identical else f"{group.height} bars contradict each other"
        out = group["row"].to_list()[1:] if identical else group["row"].to_list()
        _add(broken, dict.fromkeys(out, (QualityRule.DUPLICATE, detail)))
    return broken


def _outliers(rows: pl.DataFrame, history: pl.DataFrame | None, actions: pl.DataFrame, threshold: float) -> _Broken:
    """Find returns that no corporate action explains.

    A bar is measured against the close before it, and if that one is itself an outlier, also against the last that is
    not: so neither the day after a real crash nor the day after a wrong print is flagged with it.
    """
    wanted = ["row", "symbol", "date", "close"]
    closes = rows.select(wanted)
    if history is not None and not history.is_empty():
        before = history.with_columns(row=pl.lit(None, pl.get_index_type())).select(wanted)
        first = rows.group_by("symbol").agg(first=pl.col("date").min())
        before = before.join(first, on="symbol").filter(pl.col("date") < pl.col("first")).drop("first")
        closes = pl.concat([before, closes])
    closes = adjust(closes, actions, mode="total_return", as_of=None)
    closes = closes.with_columns(change=(pl.col("close") / pl.col("close").shift(1).over("symbol") - 1).abs())
    suspects = closes.filter(pl.col("change") > threshold + TIE)["symbol"].unique()
    broken: _Broken = {}
    for _, group in closes.filter(pl.col("symbol").is_in(suspects.to_list())).group_by("symbol", maintain_order=True):
        _add(broken, _outliers_of_symbol(group, threshold))
    return broken


def _outliers_of_symbol(closes: pl.DataFrame, threshold: float) -> _Broken:
    broken: _Broken = {}
    previous: float | None = None
    sound: float | None = None
    for row, close in closes.select("row", "close").iter_rows():
        changes = [close / base - 1 for base in (previous, sound) if base is not None]
        previous = close
        if changes and min(abs(change) for change in changes) > threshold + TIE and row is not None:
            broken[row] = (QualityRule.OUTLIER_RETURN, f"return {changes[0]:+.1%}, {threshold:.0%} allowed")
        else:
            sound = close
    return broken


def _gaps(rows: pl.DataFrame, history: pl.DataFrame | None) -> list[Gap]:
    present = rows.select("symbol", "date")
    if history is not None:
        before = history.select("symbol", "date").filter(pl.col("symbol").is_in(rows["symbol"].unique().to_list()))
        present = pl.concat([before, present])
    gaps: list[Gap] = []
    for (symbol,), group in present.drop_nulls().group_by("symbol", maintain_order=True):
        have = set(group["date"])
        gaps.extend(Gap(str(symbol), day) for day in sessions_between(min(have), max(have)) if day not in have)
    return sorted(gaps, key=lambda gap: (gap.symbol, gap.date))


def _finding(row: dict[str, object], key: str, rule: QualityRule, detail: str) -> BarFinding:
    stamp = row[key]
    at = stamp if isinstance(stamp, datetime) else datetime.combine(_date(stamp), time(), UTC)
    values = {name: _number(row[name]) for name in VALUE_COLUMNS}
    return BarFinding(str(row["symbol"]), at, values, rule, detail)


def _date(value: object) -> date:
    if not isinstance(value, date):
        raise TypeError(f"{value!r} is not a date")
    return value


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _add(broken: _Broken, more: _Broken) -> None:
    """Add findings about bars that have none yet."""
    for row, reason in more.items():
        broken.setdefault(row, reason)
