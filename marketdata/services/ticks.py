"""Ticks of the installation: where they are, what was lost, what is old."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import F

from marketdata import ticks
from marketdata.models import Feed, TickLoss
from marketdata.types import TickLossReason


@dataclass(frozen=True, slots=True)
class TickDay:
    """What is stored of a feed, a kind and a day."""

    feed: str
    kind: str
    day: date
    files: int
    rows: int
    bytes: int

    @property
    def kilobytes(self) -> int:
        """Return the size, rounded up."""
        return -(-self.bytes // 1024)


def tick_root() -> Path:
    """Return the directory of the ticks."""
    return Path(settings.LAKE_DIR) / "ticks"


def tick_files() -> list[Path]:
    """List all files."""
    return [file.path for file in ticks.files(tick_root())]


def recorder_for(feed: Feed, clock: Callable[[], datetime]) -> ticks.TickRecorder | None:
    """Return who records a feed's ticks, None where the settings switch it off."""
    if not settings.TICK_RECORDING:
        return None

    def note(reason: TickLossReason, count: int) -> None:
        note_loss(feed=feed, reason=reason, count=count, wall_now=clock())

    def close() -> None:
        connection.close()  # that of the recorder's thread: looked up where it ends, not here

    return ticks.TickRecorder(root=tick_root(), feed=feed.name, clock=clock, on_loss=note, on_end=close)


def note_loss(*, feed: Feed, reason: TickLossReason, count: int, wall_now: datetime) -> None:
    """Count ticks that were dropped, a row a feed, reason and day of the wall; without a database the log has to do."""
    try:
        row, created = TickLoss.objects.get_or_create(
            feed=feed,
            reason=reason,
            day=wall_now.date(),
            defaults={"count": count, "first_at": wall_now, "last_at": wall_now},
        )
        if not created:
            TickLoss.objects.filter(pk=row.pk).update(count=F("count") + count, last_at=wall_now)
    except DatabaseError:
        connection.close()


def tick_days() -> list[TickDay]:
    """Return what is stored, the newest day first; rows as the files' own footers say."""
    days: dict[tuple[str, str, date], list[ticks.TickFile]] = {}
    for file in ticks.files(tick_root()):
        days.setdefault((file.feed, file.kind, file.day), []).append(file)
    found = [TickDay(*key, len(parts), _rows(parts), sum(part.bytes for part in parts)) for key, parts in days.items()]
    return sorted(found, key=lambda each: (each.day, each.feed, each.kind), reverse=True)


def read_ticks(
    *, feed: str, day: date, kinds: Collection[str] | None = None, symbols: Collection[str] | None = None
) -> pl.DataFrame:
    """Return the ticks of a feed and day (New York), ordered by market time."""
    wanted = [
        file.path
        for file in ticks.files(tick_root())
        if (file.feed, file.day) == (feed, day) and (kinds is None or file.kind in kinds)
    ]
    rows = ticks.scan(wanted)
    if symbols is not None:
        rows = rows.filter(pl.col("symbol").is_in(list(symbols)))
    return rows.sort("at", maintain_order=True).collect()


@dataclass(frozen=True, slots=True)
class Kept:
    """What keeping the ticks has done, in files."""

    deleted: int
    merged: int


def keep_ticks(*, wall_now: datetime, days: int | None = None) -> Kept:
    """Delete the days beyond the retention and make one file of each day that is over."""
    keep = settings.TICK_RETENTION_DAYS if days is None else days
    today = wall_now.astimezone(ticks.NEW_YORK).date()
    deleted = ticks.prune(tick_root(), today - timedelta(days=keep))
    return Kept(deleted, ticks.compact(tick_root(), today - timedelta(days=1)))


def _rows(parts: list[ticks.TickFile]) -> int:
    paths = [part.path for part in parts]
    return int(pl.scan_parquet(paths, hive_partitioning=False).select(pl.len()).collect().item())
