"""Bring the past in from a data service: actions first, then bars in pieces, each through the quality gate.

A piece that the lake already holds whole is not asked for again, so an interrupted import goes on where it stopped.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol

import polars as pl

from marketdata.calendar import last_closed_session, sessions_between
from marketdata.errors import MarketDataError
from marketdata.lake import KEY_COLUMN, WriteReport, default_lake
from marketdata.models import Instrument
from marketdata.providers.base import MarketDataProvider
from marketdata.quality import Gap
from marketdata.services.actions import store_actions
from marketdata.services.bars import ImportReport, import_frame
from marketdata.services.instruments import ensure_instruments, refresh_statistics
from marketdata.types import Timeframe

MOST_SYMBOLS = 100
MONTHS = {Timeframe.DAY: 12, Timeframe.MINUTE: 1}
"""Calendar months in one piece: some ten thousand bars of a hundred symbols."""
SETTLES = timedelta(minutes=20)
"""After the close: a source that may not tell the newest minutes yet would give a day without its end."""
Progress = Callable[[int, int], None]


class HistoryProvider(MarketDataProvider, Protocol):
    """A source of bars that knows corporate actions as well."""

    def actions(self, symbols: Sequence[str], start: date, end: date) -> pl.DataFrame:
        """Return splits and dividends, columns of `adjustment.ACTION_SCHEMA`."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """Symbols and sessions that are asked for together."""

    symbols: tuple[str, ...]
    first: date
    last: date


@dataclass(slots=True)
class HistoryReport:
    """What an import did; pieces that were there before were not asked for."""

    bars: ImportReport = field(default_factory=lambda: ImportReport(0, WriteReport(), 0, 0, 0, []))
    new_actions: int = 0
    pieces: int = 0
    skipped: int = 0


def import_history(
    *,
    provider: HistoryProvider,
    symbols: Sequence[str],
    first: date,
    last: date | None,
    now: datetime,
    timeframe: str = Timeframe.DAY,
    again: bool = False,
    on_progress: Progress | None = None,
) -> HistoryReport:
    """Import bars from the first to the last session (both included), at most up to the last closed one.

    `now` is market time. With `again`, pieces that are there are asked for as well, to find corrections. Symbols get
    their average volume as of the newest session where that is newer than what they have.
    :raises MarketDataError: no session in the range, a strange symbol, or the source refuses
    """
    newest = min(last or date.max, last_closed_session(now - SETTLES))
    sessions = sessions_between(first, newest)
    if not sessions:
        raise MarketDataError(f"no closed session from {first} to {newest}: nothing to import")
    wanted = sorted(ensure_instruments(symbols=symbols))
    report = HistoryReport()
    for group in _groups(wanted):
        actions = provider.actions(group, first, now.date())
        report.new_actions += store_actions(actions=actions, source=provider.name)
    pieces = list(_pieces(wanted, sessions, Timeframe(timeframe)))
    for done, piece in enumerate(pieces, start=1):
        if not again and _is_there(piece, timeframe):
            report.skipped += 1
        else:
            frame = provider.bars(piece.symbols, piece.first, piece.last)
            part = import_frame(frame=frame, source=provider.name, wall_now=now, timeframe=timeframe)
            report.bars = _sum(report.bars, part)
        report.pieces += 1
        if on_progress is not None:
            on_progress(done, len(pieces))
    if timeframe == Timeframe.DAY:
        _refresh_volumes(wanted, sessions[-1])
    return report


def _groups(symbols: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(symbols), MOST_SYMBOLS):
        yield tuple(symbols[start : start + MOST_SYMBOLS])


def _pieces(symbols: Sequence[str], sessions: Sequence[date], timeframe: Timeframe) -> Iterator[Piece]:
    """Yield pieces by time, because the gate measures the first bar of each against the last one before it."""
    months = MONTHS[timeframe]
    spans: dict[tuple[int, int], list[date]] = {}
    for day in sessions:
        spans.setdefault((day.year, (day.month - 1) // months), []).append(day)
    for days in spans.values():
        for group in _groups(symbols):
            yield Piece(group, days[0], days[-1])


def _is_there(piece: Piece, timeframe: str) -> bool:
    """Say whether the lake has every session of every symbol."""
    sessions = len(sessions_between(piece.first, piece.last))
    key = pl.col(KEY_COLUMN[Timeframe(timeframe)]).cast(pl.Date)
    bars = default_lake().scan(timeframe, symbols=piece.symbols, start=piece.first, end=piece.last)
    days = bars.select("symbol", day=key).unique().select(pl.len()).collect().item()
    return bool(days == sessions * len(piece.symbols))


def _sum(before: ImportReport, more: ImportReport) -> ImportReport:
    gaps: list[Gap] = [*before.gaps, *more.gaps]
    return ImportReport(
        rows=before.rows + more.rows,
        written=before.written + more.written,
        kept_out=before.kept_out + more.kept_out,
        newly_quarantined=before.newly_quarantined + more.newly_quarantined,
        resumed_rows=before.resumed_rows + more.resumed_rows,
        gaps=gaps,
    )


def _refresh_volumes(symbols: Sequence[str], as_of: date) -> None:
    older = Instrument.objects.filter(symbol__in=symbols).exclude(adv_as_of__gte=as_of)
    if names := list(older.values_list("symbol", flat=True)):
        refresh_statistics(symbols=names, as_of=as_of)
