"""Received quotes and trades as Parquet: `<root>/feed=F/kind=trade/date=2012-06-14/<time>-<id>.parquet`.

Who hears the market never waits for the disk: events go into a bounded buffer, and a thread of its own writes them in
batches. What does not fit is dropped, counted and told. Prices here are float64: research data, not money.
"""

import shutil
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import structlog

from marketdata.types import BidAsk, MarketEvent, TickLossReason, TradeChange, TradePrint

log = structlog.get_logger(__name__)

NEW_YORK = ZoneInfo("America/New_York")
MOST_WAITING = 500_000
"""Events in memory, some 200 MB: minutes of the whole market's trades."""
ROWS_A_FILE = 100_000
LONGEST_WAIT = timedelta(seconds=30)
"""A batch is written when it is this old, however small: what a killed process can lose."""
LEAST_FREE_BYTES = 512 * 1024 * 1024
"""With less room on the disk nothing is written: the book needs it."""
MERGED = ".merged"
"""A day in one file, while its parts are being deleted."""
SCHEMA = pl.Schema(
    {
        "feed": pl.String(),
        "kind": pl.String(),
        "symbol": pl.String(),
        "at": pl.Datetime("us", "UTC"),
        "received_at": pl.Datetime("us", "UTC"),
        "price": pl.Float64(),
        "bid": pl.Float64(),
        "ask": pl.Float64(),
        "number": pl.String(),
        "source": pl.String(),
    }
)
Row = tuple[str, str, str, datetime, datetime, float | None, float | None, float | None, str, str]
OnLoss = Callable[[TickLossReason, int], None]


@dataclass(frozen=True, slots=True)
class TickFile:
    """One file and where it belongs; `rows` as its own footer says."""

    path: Path
    feed: str
    kind: str
    day: date

    @property
    def bytes(self) -> int:
        """Return its size on the disk."""
        return self.path.stat().st_size


class TickRecorder:
    """Takes events from any thread at once, and writes them from a thread of its own between `start` and `stop`."""

    def __init__(
        self,
        *,
        root: Path,
        feed: str,
        clock: Callable[[], datetime],
        on_loss: OnLoss | None = None,
        on_end: Callable[[], None] | None = None,
        most_waiting: int = MOST_WAITING,
        rows_a_file: int = ROWS_A_FILE,
    ) -> None:
        self.root = Path(root)
        self.feed = feed
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._on_loss = on_loss
        self._on_end = on_end
        self._most_waiting = most_waiting
        self._rows_a_file = rows_a_file
        self._waiting: deque[Row] = deque()
        self._losses: Counter[TickLossReason] = Counter()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write in the background."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._work, name="ticks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        if self._thread is not None:
            self._stopping.set()
            self._wake.set()
            self._thread.join()
            self._thread = None
        self.flush()

    def take(self, events: Sequence[MarketEvent], source: str) -> None:
        """Take what the market said; never waits for the disk."""
        received = self._clock()
        rows = [row for event in events if (row := _row(event, self.feed, source, received)) is not None]
        with self._lock:
            room = self._most_waiting - len(self._waiting)
            self._waiting.extend(rows[: max(room, 0)])
            if len(rows) > room:
                self._losses[TickLossReason.BUFFER_FULL] += len(rows) - max(room, 0)
            full = len(self._waiting) >= self._rows_a_file
        if full:
            self._wake.set()

    def flush(self) -> int:
        """Write everything that waits, one file a kind and day, and return the rows; tell what was lost."""
        written = 0
        while batch := self._next():
            try:
                self._write(batch)
            except OSError as error:
                self._lose(TickLossReason.NOT_WRITTEN, len(batch))
                log.warning("ticks_not_written", feed=self.feed, rows=len(batch), reason=str(error))
                break
            written += len(batch)
        self.counts["written"] += written
        self._tell_losses()
        return written

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._wake.wait(LONGEST_WAIT.total_seconds())
                self._wake.clear()
                self.flush()
        finally:
            if self._on_end is not None:
                self._on_end()

    def _next(self) -> list[Row]:
        with self._lock:
            count = min(len(self._waiting), self._rows_a_file)
            return [self._waiting.popleft() for _ in range(count)]

    def _write(self, batch: list[Row]) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.root).free < LEAST_FREE_BYTES:
            raise OSError(f"less than {LEAST_FREE_BYTES // 1024**2} MB are free")
        frame = pl.DataFrame(batch, schema=SCHEMA, orient="row")
        frame = frame.with_columns(day=pl.col("at").dt.convert_time_zone("America/New_York").dt.date())
        for (kind, day), part in frame.group_by("kind", "day", maintain_order=True):
            assert isinstance(day, date)
            first = part["at"].min()
            assert isinstance(first, datetime)
            write_file(self.root, part.drop("day"), feed=self.feed, kind=str(kind), day=day, first=first)

    def _lose(self, reason: TickLossReason, count: int) -> None:
        with self._lock:
            self._losses[reason] += count

    def _tell_losses(self) -> None:
        with self._lock:
            losses, self._losses = self._losses, Counter()
        for reason, count in losses.items():
            self.counts["dropped"] += count
            log.warning("ticks_dropped", feed=self.feed, reason=str(reason), count=count)
            if self._on_loss is not None:
                self._on_loss(reason, count)


def write_file(root: Path, frame: pl.DataFrame, *, feed: str, kind: str, day: date, first: datetime) -> Path:
    """Write one file beside its place and rename it: a reader sees all of it or nothing."""
    folder = root / f"feed={feed}" / f"kind={kind}" / f"date={day.isoformat()}"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{first:%H%M%S%f}-{uuid.uuid4().hex[:12]}"
    temporary = folder / f".{name}.tmp"
    _write_parquet(frame, temporary)
    return temporary.replace(folder / f"{name}.parquet")


def files(root: Path) -> list[TickFile]:
    """List the files under a root, by feed, kind, day and time."""
    found = []
    for path in sorted(Path(root).glob("feed=*/kind=*/date=*/*.parquet")):
        feed, kind, day = (part.split("=", 1)[1] for part in path.parts[-4:-1])
        found.append(TickFile(path, feed, kind, date.fromisoformat(day)))
    return found


def prune(root: Path, before: date) -> int:
    """Delete the days before a date and return how many files went."""
    old = [file for file in files(root) if file.day < before]
    for folder in {file.path.parent for file in old}:
        shutil.rmtree(folder)
    return len(old)


def compact(root: Path, before: date) -> int:
    """Make one file of each day before a date that has several, and return how many files were merged.

    The merged file waits under a name that nobody reads until its parts are gone, and takes the first one's place at
    last: whoever is killed on the way leaves no tick twice, and the next call goes on.
    """
    days: dict[Path, list[Path]] = {}
    for file in files(root):
        if file.day < before:
            days.setdefault(file.path.parent, []).append(file.path)
    merged = 0
    for folder, parts in days.items():
        whole = folder / MERGED
        if len(parts) > 1 and not whole.exists():
            temporary = folder / f".{uuid.uuid4().hex[:12]}.tmp"
            frame = pl.concat(pl.read_parquet(part, hive_partitioning=False) for part in parts)
            _write_parquet(frame, temporary)
            temporary.replace(whole)
        if whole.exists():
            for part in parts[1:]:
                part.unlink()
            whole.replace(parts[0])
            merged += len(parts)
    return merged


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.sort("at", maintain_order=True).write_parquet(path, compression="zstd", statistics=True)


def scan(paths: Iterable[Path]) -> pl.LazyFrame:
    """Read ticks lazily, in the order of the files."""
    listed = list(paths)
    if not listed:
        return pl.LazyFrame(schema=SCHEMA)
    return pl.scan_parquet(listed, hive_partitioning=False).select(SCHEMA.names())


def _row(event: MarketEvent, feed: str, source: str, received: datetime) -> Row | None:
    """Return an event as a row; halts and price bands are kept elsewhere."""
    if isinstance(event, TradePrint):
        return (feed, "trade", event.symbol, event.at, received, float(event.price), None, None, event.number, source)
    if isinstance(event, BidAsk):
        bid, ask = _number(event.bid), _number(event.ask)
        return (feed, "quote", event.symbol, event.at, received, None, bid, ask, "", source)
    if isinstance(event, TradeChange):
        price = _number(event.price)
        return (feed, "trade_change", event.symbol, event.at, received, price, None, None, event.number, source)
    return None


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
