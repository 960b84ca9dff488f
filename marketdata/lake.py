"""The bar lake: raw, unadjusted bars as Parquet, partitioned by timeframe and year.

`<root>/timeframe=1d/year=2012/bars.parquet`, sorted by symbol and time. A file is replaced as a whole (written beside
it, then renamed), so a reader sees the old or the new one, never half of one. Writers take turns by a lock file;
readers take no lock. Prices here are float64: research data, not money.
"""

import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path

import polars as pl
from django.conf import settings

from marketdata.types import Timeframe

KEY_COLUMN = {Timeframe.DAY: "date", Timeframe.MINUTE: "at"}
_KEY_TYPE = {Timeframe.DAY: pl.Date(), Timeframe.MINUTE: pl.Datetime("us", "UTC")}
PRICE_COLUMNS = ("open", "high", "low", "close")
VALUE_COLUMNS = (*PRICE_COLUMNS, "volume")
MAX_CACHED_BYTES = 64 * 1024 * 1024
FILE_NAME = "bars.parquet"
WRITING = "writing-"


def bar_schema(timeframe: str = Timeframe.DAY) -> pl.Schema:
    """Return the columns of bars: symbol, `date` (daily) or `at` (start of a minute, UTC), prices, volume (shares)."""
    wanted = Timeframe(timeframe)
    return pl.Schema(
        {"symbol": pl.String(), KEY_COLUMN[wanted]: _KEY_TYPE[wanted], **{name: pl.Float64() for name in VALUE_COLUMNS}}
    )


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What a write changed, in bars."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: "WriteReport") -> "WriteReport":
        return WriteReport(
            self.inserted + other.inserted, self.updated + other.updated, self.unchanged + other.unchanged
        )


class BarLake:
    """Bars under one directory. Small timeframes are kept in memory until a writer changes them."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._cached: dict[Timeframe, tuple[str, pl.DataFrame]] = {}

    def scan(
        self,
        timeframe: str = Timeframe.DAY,
        symbols: Iterable[str] | None = None,
        start: date | None = None,
        end: date | None = None,
    ) -> pl.LazyFrame:
        """Read bars lazily, sorted by symbol and time; `start` and `end` are dates, both included."""
        wanted = Timeframe(timeframe)
        frame = self._source(wanted, start, end)
        if symbols is not None:
            frame = frame.filter(pl.col("symbol").is_in(list(symbols)))
        key = pl.col(KEY_COLUMN[wanted])
        if start is not None:
            frame = frame.filter(key >= _lower(wanted, start))
        if end is not None:
            frame = frame.filter(key < _lower(wanted, end + timedelta(days=1)))
        return frame

    def frame(self, timeframe: str = Timeframe.DAY) -> pl.DataFrame:
        """Return every bar of a timeframe, sorted by symbol and time, from memory while nothing has been written."""
        wanted = Timeframe(timeframe)
        generation = self.generation()
        cached = self._cached.get(wanted)
        if cached is None or cached[0] != generation or generation.startswith(WRITING):
            cached = (generation, self._read(self.files(wanted), wanted).collect())
            self._cached[wanted] = cached
        return cached[1]

    def generation(self) -> str:
        """Return a word that is another one after each write; empty for an empty lake.

        It begins with WRITING from before a write's first file until after its last, also when the writer died.
        """
        try:
            return (self.root / "generation").read_text()
        except FileNotFoundError:
            return ""

    def stamp(self, timeframe: str, first: date, last: date) -> str:
        """Return 16 hexadecimal digits that are others once a bar between two dates may have changed; reads no bar."""
        digest = hashlib.sha256(str(self.root.resolve()).encode())
        for year in range(first.year, last.year + 1):
            with suppress(FileNotFoundError):
                found = self._path(Timeframe(timeframe), year).stat()
                digest.update(f"|{timeframe}|{year}|{found.st_mtime_ns}|{found.st_size}|{found.st_ino}".encode())
        return digest.hexdigest()[:16]

    def years(self, timeframe: str = Timeframe.DAY) -> list[int]:
        """List the years that have bars."""
        return sorted(_year_of(path) for path in self.files(Timeframe(timeframe)))

    def write(self, frame: pl.DataFrame, timeframe: str, source: str) -> WriteReport:
        """Insert bars, or replace those of the same symbol and time; writing the same bars again changes no file.

        Columns as in `bar_schema`, others are ignored; `source` is stored with each bar that is new or changed.
        :raises polars.exceptions.PolarsError: a column is missing or has another type
        """
        wanted = Timeframe(timeframe)
        schema = bar_schema(wanted)
        bars = frame.select(pl.col(name).cast(kind) for name, kind in schema.items())
        bars = bars.with_columns(source=pl.lit(source))
        report = WriteReport()
        with self._writing():
            for (year,), part in bars.group_by(pl.col(KEY_COLUMN[wanted]).dt.year(), maintain_order=True):
                report += self._merge(wanted, int(str(year)), part)
            if self.generation().startswith(WRITING):  # a writer that died here before us left it as well
                _replace(self.root / "generation", uuid.uuid4().hex.encode())
        return report

    def _merge(self, timeframe: Timeframe, year: int, part: pl.DataFrame) -> WriteReport:
        """Merge one year's bars into its file."""
        path = self._path(timeframe, year)
        key = ["symbol", KEY_COLUMN[timeframe]]
        part = part.unique(key, keep="last", maintain_order=True)
        stored = pl.read_parquet(path, hive_partitioning=False) if path.exists() else part.clear()
        same = part.join(stored, on=[*key, *VALUE_COLUMNS], how="semi")
        changed = part.join(same, on=key, how="anti")
        updated = changed.join(stored, on=key, how="semi").height
        if changed.height:
            merged = pl.concat([stored.join(changed, on=key, how="anti"), changed]).sort(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{uuid.uuid4().hex}.parquet")
            merged.write_parquet(temporary, statistics=True)
            if not self.generation().startswith(WRITING):
                _replace(self.root / "generation", f"{WRITING}{uuid.uuid4().hex}".encode())
            _rename(temporary, path)
        return WriteReport(changed.height - updated, updated, same.height)

    def _source(self, timeframe: Timeframe, start: date | None, end: date | None) -> pl.LazyFrame:
        generation, cached = self.generation(), self._cached.get(timeframe)
        if cached is not None and cached[0] == generation and not generation.startswith(WRITING):
            return cached[1].lazy()
        files = self.files(timeframe)
        if sum(path.stat().st_size for path in files) <= MAX_CACHED_BYTES:
            return self.frame(timeframe).lazy()
        first, last = (start.year if start else 0), (end.year if end else 9999)
        return self._read([path for path in files if first <= _year_of(path) <= last], timeframe)

    def _read(self, files: Sequence[Path], timeframe: Timeframe) -> pl.LazyFrame:
        schema = bar_schema(timeframe)
        if not files:
            return pl.LazyFrame(schema=schema)
        scanned = pl.scan_parquet(list(files), hive_partitioning=False)
        return scanned.select(schema.names()).sort("symbol", KEY_COLUMN[timeframe])

    def _path(self, timeframe: Timeframe, year: int) -> Path:
        return self.root / f"timeframe={timeframe.value}" / f"year={year}" / FILE_NAME

    def files(self, timeframe: str) -> list[Path]:
        """List the files of a timeframe, one a year, ascending."""
        return sorted((self.root / f"timeframe={Timeframe(timeframe).value}").glob(f"year=*/{FILE_NAME}"))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the writers' lock (across processes; released by the system when a writer dies)."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            for left in self.root.glob("timeframe=*/year=*/.*.parquet"):  # of a writer that died
                left.unlink()
            yield


def default_lake() -> BarLake:
    """Return this process's lake at `settings.LAKE_DIR`, with its bars kept in memory between calls."""
    return _lake_at(Path(settings.LAKE_DIR))


@lru_cache(maxsize=8)
def _lake_at(root: Path) -> BarLake:
    return BarLake(root)


def _lower(timeframe: Timeframe, day: date) -> date | datetime:
    return day if timeframe == Timeframe.DAY else datetime.combine(day, time(), UTC)


def _year_of(path: Path) -> int:
    return int(path.parent.name.removeprefix("year="))


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    temporary.write_bytes(content)
    _rename(temporary, path)


def _rename(temporary: Path, path: Path) -> None:
    """Put a finished file in place, durably: its bytes first, then its name."""
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
