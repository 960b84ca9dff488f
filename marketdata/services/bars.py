"""Bring bars in: gate, quarantine, lake.

Importing the same bars again changes nothing; an interrupted import goes on where it stopped.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from django.conf import settings

from marketdata.errors import MarketDataError
from marketdata.lake import KEY_COLUMN, BarLake, WriteReport, bar_schema, default_lake
from marketdata.models import BarImport, QuarantinedBar
from marketdata.quality import BarFinding, Gap, GateResult, check_bars
from marketdata.selectors import corporate_actions_frame
from marketdata.services.instruments import ensure_instruments
from marketdata.services.quarantine import bar_frame, fingerprint, quarantine_findings
from marketdata.types import ImportState, QualityRule, QuarantineStatus, Timeframe

Progress = Callable[[int, int], None]
"""Called with the rows done and the rows in all."""
MAX_STORED_GAPS = 1000


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, in bars. Every row read is written, unchanged, or kept out."""

    rows: int
    written: WriteReport
    kept_out: int
    newly_quarantined: int
    resumed_rows: int
    gaps: list[Gap]

    @property
    def changed(self) -> bool:
        """Say whether anything is different from before."""
        return bool(self.written.inserted or self.written.updated or self.newly_quarantined)


def import_frame(
    *,
    frame: pl.DataFrame,
    source: str,
    wall_now: datetime,
    timeframe: str = Timeframe.DAY,
    lake: BarLake | None = None,
    on_progress: Progress | None = None,
) -> ImportReport:
    """Put bars (columns of `lake.bar_schema`) through the quality gate into the lake, year by year.

    Bars that fail go to quarantine, once; those an operator has released before pass. Instruments are created. When the
    same bars were interrupted before, the years already in the lake are skipped.
    :raises MarketDataError: a bar has no symbol or no time, or a symbol no exchange uses
    """
    wanted = Timeframe(timeframe)
    lake = lake or default_lake()
    bars = frame.select(pl.col(name).cast(kind) for name, kind in bar_schema(wanted).items())
    if bars.select(pl.any_horizontal(pl.col("symbol", KEY_COLUMN[wanted]).is_null().any())).item():
        raise MarketDataError(f"bars from {source} without a symbol or a {KEY_COLUMN[wanted]}")
    instruments = ensure_instruments(symbols=bars["symbol"].unique().to_list())
    gate = _judge(bars, wanted, lake, wall_now)
    released = _released(gate.findings, wanted)
    kept_out = len(gate.findings) - released.height
    new = quarantine_findings(findings=gate.findings, instruments=instruments, timeframe=wanted, source=source)
    accepted = pl.concat([gate.accepted, released]).sort(KEY_COLUMN[wanted], "symbol")
    record = _begin(bars, gate.gaps, source, wanted, wall_now)
    written, resumed = _write_years(record, accepted, lake, wanted, on_progress)
    _finish(record, new, wall_now)
    return ImportReport(bars.height, written, kept_out, new, resumed, gate.gaps)


def _judge(bars: pl.DataFrame, timeframe: Timeframe, lake: BarLake, wall_now: datetime) -> GateResult:
    symbols = bars["symbol"].unique().to_list()
    return check_bars(
        bars,
        timeframe=timeframe,
        actions=corporate_actions_frame(symbols),
        outlier_threshold=float(settings.OUTLIER_THRESHOLD),
        now=wall_now,
        history=_history(bars, symbols, lake) if timeframe == Timeframe.DAY else None,
    )


def _history(bars: pl.DataFrame, symbols: list[str], lake: BarLake) -> pl.DataFrame:
    """Return each symbol's last bar before the frame, from the lake or from quarantine, whichever is later."""
    first = bars.group_by("symbol").agg(first=pl.col("date").min())
    stored = lake.scan(Timeframe.DAY, symbols=symbols, end=bars["date"].max())  # type: ignore[arg-type]
    rows = QuarantinedBar.objects.filter(
        instrument__symbol__in=symbols, timeframe=Timeframe.DAY, rule=QualityRule.OUTLIER_RETURN
    )
    kept_out = [bar_frame(row).lazy() for row in rows.select_related("instrument")]
    before = pl.concat([stored, *kept_out]).unique(["symbol", "date"], keep="first")
    before = before.join(first.lazy(), on="symbol").filter(pl.col("date") < pl.col("first")).drop("first")
    return before.sort("symbol", "date").group_by("symbol", maintain_order=True).last().collect()


def _released(findings: list[BarFinding], timeframe: Timeframe) -> pl.DataFrame:
    prints = [fingerprint(finding, timeframe) for finding in findings]
    rows = QuarantinedBar.objects.filter(fingerprint__in=prints, status=QuarantineStatus.RELEASED)
    frames = [bar_frame(row) for row in rows.select_related("instrument")]
    return pl.concat([pl.DataFrame(schema=bar_schema(timeframe)), *frames])


def _begin(bars: pl.DataFrame, gaps: list[Gap], source: str, timeframe: Timeframe, wall_now: datetime) -> BarImport:
    """Open the import's record; a finished one starts over, an unfinished one keeps its cursor."""
    missing = [[gap.symbol, gap.date.isoformat()] for gap in gaps[:MAX_STORED_GAPS]]
    record, created = BarImport.objects.get_or_create(
        source=source,
        timeframe=timeframe,
        content_hash=_content_hash(bars),
        defaults={"rows": bars.height, "gaps": missing, "started_at": wall_now},
    )
    if not created:
        if record.state == ImportState.DONE:
            record.cursor = None
        record.state, record.finished_at = ImportState.RUNNING, None
        record.save(update_fields=["state", "finished_at", "cursor"])
    return record


def _write_years(
    record: BarImport, accepted: pl.DataFrame, lake: BarLake, timeframe: Timeframe, on_progress: Progress | None
) -> tuple[WriteReport, int]:
    """Write year after year, moving the cursor after each; return what changed and how many rows were skipped."""
    report, done, resumed = WriteReport(), 0, 0
    present = set(lake.years(timeframe))
    years = accepted.group_by(pl.col(KEY_COLUMN[timeframe]).dt.year(), maintain_order=True)
    for (value,), part in years:
        year = int(str(value))
        if record.cursor is not None and year <= record.cursor and year in present:
            resumed += part.height
        else:
            written = lake.write(part, timeframe, record.source)
            report += written
            record.cursor, record.written = year, record.written + written.inserted + written.updated
            record.save(update_fields=["cursor", "written"])
        done += part.height
        if on_progress is not None:
            on_progress(done, accepted.height)
    return report, resumed


def _finish(record: BarImport, quarantined: int, wall_now: datetime) -> None:
    record.state, record.finished_at = ImportState.DONE, wall_now
    record.quarantined += quarantined
    record.save(update_fields=["state", "finished_at", "quarantined"])


def _content_hash(bars: pl.DataFrame) -> str:
    """Return a SHA-256 of the bars in a fixed order: the same bars, whatever file they came in."""
    ordered = bars.sort(bars.columns)
    return hashlib.sha256(ordered.write_csv().encode()).hexdigest()
