"""What a live source told since somebody looked: written by its thread, emptied by the one that stores."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from marketdata.tape import Splits, Tape
from marketdata.ticks import TickRecorder
from marketdata.types import BandNews, GapReason, MarketEvent, QuoteUpdate, StatusNews, TradePrint

MOST_NEWS = 10_000
MOST_FRAMES = 200
"""Kept between two looks; of more, the newest."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The stream began or ceased to tell; `reason` is None when it runs. `at` is wall time."""

    reason: GapReason | None
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """All that happened between two looks: of each instrument the newest view, everything else in its order."""

    quotes: list[QuoteUpdate] = field(default_factory=list)
    trades: list[TradePrint] = field(default_factory=list)
    news: list[StatusNews | BandNews] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    frames: list[tuple[bytes, str]] = field(default_factory=list)


class LiveBuffer:
    """The listener. Many events of one instrument become one quote, so it cannot grow without bound.

    `horizon` returns the market time after which nothing can have happened yet: a quote stamped later would hide all
    that follow it. What the stream tells goes to the recorder as well, each event of it.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        horizon: Callable[[], datetime],
        recorder: TickRecorder | None = None,
    ) -> None:
        self._clock = clock
        self._recorder = recorder
        self._horizon = horizon
        self._lock = Lock()
        self._tape = Tape()
        self._changed: dict[str, None] = {}
        self._trades: dict[str, TradePrint] = {}
        self._news: deque[StatusNews | BandNews] = deque(maxlen=MOST_NEWS)
        self._frames: deque[tuple[bytes, str]] = deque(maxlen=MOST_FRAMES)
        self._turns: list[Turn] = []
        self.counts: Counter[str] = Counter()
        self.shortfall = ""
        self.running = False
        self.polled_at: datetime | None = None

    def connected(self) -> None:
        """Note that the stream runs."""
        with self._lock:
            self.running = True
            self._turns.append(Turn(None, "", self._clock()))
            self.counts["connected"] += 1

    def lost(self, reason: GapReason, detail: str, *, silent_seconds: float = 0) -> None:
        """Note that it tells nothing, and why."""
        with self._lock:
            self.running = False
            self._turns.append(Turn(reason, detail, self._clock() - timedelta(seconds=silent_seconds)))
            self.counts["lost"] += 1

    def degraded(self, detail: str) -> None:
        """Note what it does not give."""
        with self._lock:
            self.shortfall = detail

    def told(self, events: Sequence[MarketEvent], *, source: str, streamed: bool) -> None:
        """Take what the market said."""
        if streamed and self._recorder is not None:
            self._recorder.take(events, source)
        horizon = self._horizon()
        with self._lock:
            self.counts["streamed" if streamed else "polled"] += len(events)
            if not streamed:
                self.polled_at = self._clock()
            for event in events:
                if event.at > horizon:
                    self.counts["future"] += 1
                else:
                    self._take(event, source)

    def unreadable(self, frame: bytes, problem: str) -> None:
        """Keep what could not be read."""
        with self._lock:
            self.counts["unreadable"] += 1
            self._frames.append((frame, problem))

    def adopt(self, splits: Splits) -> None:
        """Put what was told before these splits into new shares."""
        with self._lock:
            self._changed.update(dict.fromkeys(self._tape.adopt(splits)))

    def drain(self) -> Batch:
        """Return what happened since the last call."""
        with self._lock:
            views = [view for symbol in self._changed if (view := self._tape.view(symbol)) is not None]
            batch = Batch(views, list(self._trades.values()), list(self._news), self._turns, list(self._frames))
            self._changed, self._trades, self._turns = {}, {}, []
            self._news.clear()
            self._frames.clear()
        return batch

    def _take(self, event: MarketEvent, source: str) -> None:
        if isinstance(event, StatusNews | BandNews):
            self._news.append(event)
            return
        if isinstance(event, TradePrint):
            self._trades[event.symbol] = event
        if self._tape.take(event, source):
            self._changed[event.symbol] = None
