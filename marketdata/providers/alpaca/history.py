"""Bars and corporate actions of the past from Alpaca: every page, with patience, and in the feed that we may read."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import structlog

from marketdata.adjustment import ACTION_SCHEMA
from marketdata.calendar import is_open, session_close
from marketdata.clock import NEW_YORK
from marketdata.errors import MarketDataError
from marketdata.lake import KEY_COLUMN, bar_schema
from marketdata.providers.alpaca.rest import AlpacaDataError, AlpacaRest
from marketdata.providers.alpaca.words import Unreadable, moment, number
from marketdata.types import ActionKind, Timeframe

log = structlog.get_logger(__name__)

ROWS_ON_A_PAGE = 10_000
MOST_PAGES = 10_000
ATTEMPTS = 5
LONGEST_WAIT = 60
MICROSECOND = timedelta(microseconds=1)
RECENT = timedelta(minutes=16)
"""Prices of all exchanges that are younger than 15 minutes are sold apart."""
ALPACA_TIMEFRAMES = {Timeframe.DAY: "1Day", Timeframe.MINUTE: "1Min"}
KINDS = "forward_split,reverse_split,cash_dividend"
Row = Mapping[str, Any]


class AlpacaHistory:
    """A source of raw bars. Where SIP is refused it goes on with IEX, and `on_notice` is told.

    `now` is market time: the newest bar is that of the last closed session, and no minute is younger than may be read.
    `wait` pauses between attempts, in seconds.
    """

    def __init__(
        self,
        rest: AlpacaRest,
        *,
        now: datetime,
        feed: str = "sip",
        timeframe: str = Timeframe.DAY,
        on_notice: Callable[[str], None] | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.feed = feed
        self._rest = rest
        self._now = now
        self._timeframe = Timeframe(timeframe)
        self._on_notice = on_notice or (lambda _: None)
        self._wait = wait or threading.Event().wait

    @property
    def name(self) -> str:
        """Return the word stored with what comes from here."""
        return f"alpaca {self.feed}"

    def bars(
        self, symbols: Sequence[str] | None = None, start: date | None = None, end: date | None = None
    ) -> pl.DataFrame:
        """Return raw bars sorted by symbol and time, minutes of regular trading; `start` and `end` are included.

        :raises MarketDataError: no symbols or no first session, a refusal, or an answer that cannot be read
        """
        if not symbols or start is None:
            raise MarketDataError("bars from Alpaca need symbols and a first session")
        last = self._now if end is None else min(session_close(end) - MICROSECOND, self._now)
        query = {
            "symbols": ",".join(symbols),
            "timeframe": ALPACA_TIMEFRAMES[self._timeframe],
            "start": start.isoformat(),
            "end": min(last, self._now - RECENT).isoformat(),
            "adjustment": "raw",
            "limit": str(ROWS_ON_A_PAGE),
            "sort": "asc",
        }
        rows = [row for page in self._pages("/v2/stocks/bars", query, feed=True) for row in self._rows(page)]
        frame = pl.DataFrame(rows, schema=bar_schema(self._timeframe), orient="row")
        return frame.sort("symbol", KEY_COLUMN[self._timeframe], maintain_order=True)

    def actions(self, symbols: Sequence[str], start: date, end: date) -> pl.DataFrame:
        """Return splits and cash dividends by ex-date, columns of `ACTION_SCHEMA`; several on a day are one.

        :raises MarketDataError: a refusal, or an answer that cannot be read
        """
        query = {
            "symbols": ",".join(symbols),
            "types": KINDS,
            "start": start.isoformat(),
            "end": end.isoformat(),
            "limit": "1000",
        }
        rows = [row for page in self._pages("/v1/corporate-actions", query, feed=False) for row in _actions(page)]
        frame = pl.DataFrame(rows, schema=ACTION_SCHEMA, orient="row")
        merged = frame.group_by("symbol", "kind", "ex_date").agg(pl.col("ratio").product(), pl.col("cash_amount").sum())
        split = pl.col("kind") == ActionKind.SPLIT
        merged = merged.with_columns(
            ratio=pl.when(split).then(pl.col("ratio")), cash_amount=pl.when(~split).then(pl.col("cash_amount"))
        )
        return merged.select(ACTION_SCHEMA.names()).sort("symbol", "ex_date", "kind")

    def _pages(self, path: str, query: Mapping[str, str], *, feed: bool) -> Iterator[Row]:
        """Yield every page; after a fall-back the pages begin anew, because those of two feeds do not fit together."""
        token = ""
        for _ in range(MOST_PAGES):
            asked = {**query, **({"feed": self.feed} if feed else {}), **({"page_token": token} if token else {})}
            page = self._get(path, asked, may_fall_back=feed and not token)
            yield page
            token = str(page.get("next_page_token") or "")
            if not token:
                return
        raise MarketDataError(f"{path}: more than {MOST_PAGES} pages; ask for fewer symbols or sessions")

    def _get(self, path: str, query: dict[str, str], *, may_fall_back: bool) -> Row:
        """Return one answer; what may pass is tried again, a refusal is not.

        :raises AlpacaDataError: refused, or not answered five times
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._rest.get(path, query)
            except AlpacaDataError as error:
                if error.status == 403 and may_fall_back and self.feed == "sip":
                    self._fall_back(str(error))
                    query["feed"] = self.feed
                elif error.refused or attempt == ATTEMPTS:
                    raise
                else:
                    pause = min(error.retry_after or 1 << (attempt - 1), LONGEST_WAIT)
                    log.warning("alpaca_history_waits", reason=str(error), attempt=attempt, seconds=pause)
                    self._wait(pause)
        raise AssertionError("the last attempt returns or raises")

    def _fall_back(self, reason: str) -> None:
        self.feed = "iex"
        self._on_notice(
            f"feed sip is refused ({reason}): bars are of iex, one exchange, with a small part of the market's volume"
        )

    def _rows(self, page: Row) -> Iterator[tuple[Any, ...]]:
        bars = page.get("bars") or {}
        for symbol, found in bars.items():
            for bar in found:
                try:
                    at = moment(bar.get("t"))
                    values = [float(number(bar.get(name))) for name in ("o", "h", "l", "c", "v")]
                except Unreadable as error:
                    raise MarketDataError(f"bar of {symbol}: {error}") from error
                if self._timeframe == Timeframe.DAY:
                    yield (symbol, at.astimezone(NEW_YORK).date(), *values)
                elif is_open(at):
                    yield (symbol, at, *values)


def _actions(page: Row) -> Iterator[tuple[Any, ...]]:
    found = page.get("corporate_actions") or {}
    try:
        for kind in ("forward_splits", "reverse_splits"):
            for row in found.get(kind) or ():
                ratio = number(row.get("new_rate")) / number(row.get("old_rate"))
                yield row["symbol"], ActionKind.SPLIT.value, date.fromisoformat(row["ex_date"]), float(ratio), None
        for row in found.get("cash_dividends") or ():
            day, cash = date.fromisoformat(row["ex_date"]), number(row.get("rate"))
            yield row["symbol"], ActionKind.DIVIDEND.value, day, None, float(cash)
    except (Unreadable, KeyError, ValueError, ArithmeticError) as error:
        raise MarketDataError(f"corporate action: {type(error).__name__}: {error}") from error
