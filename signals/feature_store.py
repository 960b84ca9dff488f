"""Features of a session, from Redis where they are and from the bars where not; a corrected bar is never served stale.

A row is kept under its symbol, session, version of the features and data generation: what the files of its bars and its
corporate actions looked like. Whatever changes one of them asks for another key. A row is 158 float64, little-endian;
an empty one says that the symbol has no bar of that session. Without Redis features are computed, and it is said so.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from time import monotonic
from typing import Literal, cast

import numpy as np
import polars as pl
import redis
import structlog
from django.conf import settings

from marketdata import calendar
from marketdata.lake import default_lake
from marketdata.models import CorporateAction
from marketdata.selectors import bars
from marketdata.types import Timeframe
from signals.errors import NotASessionError
from signals.features import FEATURES, LOOKBACK, alpha158_newest, feature_version
from signals.progress import Progress, silent

log = structlog.get_logger(__name__)

Source = Literal["cache", "computed", "mixed"]
WINDOW = 2 * LOOKBACK
"""Sessions in which a symbol's last LOOKBACK rows are looked for: it may have gaps."""
ROW_BYTES = 8 * len(FEATURES)
FLOATS = np.dtype("<f8")
REDIS_TIMEOUT_SECONDS = 0.5
AWAY_SECONDS = 5.0
"""For so long Redis is not asked again after a failure: a run must not wait for it with every symbol."""
GROUP = 250
"""Symbols computed and stored at once."""


@dataclass(frozen=True, slots=True)
class FeatureRows:
    """One row a symbol with a bar on the session: symbol, date and the 158 columns, sorted by symbol.

    `missing` have no bar of that session. `source` says where the rows came from; `reason` why not from the cache.
    """

    frame: pl.DataFrame
    missing: tuple[str, ...]
    source: Source
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Precomputed:
    """What a precompute did, in symbols; `stored` is false when Redis did not take them."""

    session: date
    rows: int
    missing: tuple[str, ...]
    there_before: int
    stored: bool
    reason: str = ""


@dataclass(slots=True)
class _Found:
    """Rows by symbol as bytes, empty for a symbol without a bar."""

    rows: dict[str, bytes] = field(default_factory=dict)
    reason: str = ""


class _Cache:
    """Redis, left alone for a while after it failed."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=REDIS_TIMEOUT_SECONDS, socket_connect_timeout=REDIS_TIMEOUT_SECONDS
        )
        self._again_at = 0.0
        self.reason = ""

    def read(self, keys: Mapping[str, str]) -> _Found:
        """Return what is there of symbol → key, in one question."""
        if self._is_away():
            return _Found(reason=self.reason)
        try:
            values = cast("list[bytes | None]", self._redis.mget(list(keys.values())))
        except redis.RedisError as error:
            return _Found(reason=self._failed(error))
        found = zip(keys, values, strict=True)
        return _Found({symbol: row for symbol, row in found if row is not None and len(row) in (0, ROW_BYTES)})

    def write(self, rows: Mapping[str, bytes]) -> str:
        """Store key → row, each for the hours of the settings; return why not, empty when they are stored."""
        if self._is_away():
            return self.reason
        seconds = settings.FEATURE_CACHE_HOURS * 3_600
        try:
            pipe = self._redis.pipeline(transaction=False)
            for key, row in rows.items():
                pipe.set(key, row, ex=seconds)
            pipe.execute()
        except redis.RedisError as error:
            return self._failed(error)
        return ""

    def _is_away(self) -> bool:
        return monotonic() < self._again_at

    def _failed(self, error: redis.RedisError) -> str:
        self._again_at = monotonic() + AWAY_SECONDS
        self.reason = f"Redis gives no answer: {str(error).strip() or type(error).__name__}"
        log.warning("feature_cache_away", reason=self.reason, consequence="features are computed from the bars")
        return self.reason


@lru_cache(maxsize=4)
def _cache_at(url: str) -> _Cache:
    return _Cache(url)


def features_for(*, symbols: Sequence[str], session: date) -> FeatureRows:
    """Return the features of a session's close, prices adjusted as known on it; what was not cached is cached now.

    :raises NotASessionError: the exchange is closed that day
    """
    wanted = sorted(set(symbols))
    keys = _keys(wanted, session)
    cache = _cache_at(settings.REDIS_URL)
    found = cache.read(keys) if wanted else _Found()
    absent = [symbol for symbol in wanted if symbol not in found.rows]
    fresh = _computed(absent, session)
    if fresh and not found.reason:
        found.reason = cache.write({keys[symbol]: row for symbol, row in fresh.items()})
    source: Source = "mixed" if found.rows and fresh else "computed" if fresh else "cache"
    rows = {**found.rows, **fresh}
    there = [symbol for symbol in wanted if rows[symbol]]
    missing = tuple(symbol for symbol in wanted if not rows[symbol])
    return FeatureRows(_frame(there, [rows[symbol] for symbol in there], session), missing, source, found.reason)


def precompute(*, symbols: Sequence[str], session: date, on_progress: Progress = silent) -> Precomputed:
    """Put the features of a session into the cache where they are not there yet.

    :raises NotASessionError: the exchange is closed that day
    """
    wanted, rows, before = sorted(set(symbols)), 0, 0
    missing: list[str] = []
    reason = ""
    cache = _cache_at(settings.REDIS_URL)
    for done, group in _groups(wanted):
        on_progress(done, len(wanted), "features")
        keys = _keys(group, session)
        found = cache.read(keys)
        fresh = _computed([symbol for symbol in group if symbol not in found.rows], session)
        reason = found.reason or (cache.write({keys[each]: row for each, row in fresh.items()}) if fresh else "")
        before += len(found.rows)
        values = {**found.rows, **fresh}
        rows += sum(1 for row in values.values() if row)
        missing += [symbol for symbol, row in values.items() if not row]
    on_progress(len(wanted), len(wanted), "features")
    log.info("features_precomputed", session=session.isoformat(), rows=rows, there_before=before, reason=reason)
    return Precomputed(session, rows, tuple(sorted(missing)), before, not reason, reason)


def _groups(symbols: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    for start in range(0, len(symbols), GROUP):
        yield start, symbols[start : start + GROUP]


def _window(session: date) -> tuple[date, date]:
    """Return the first and the last session whose bars a row may depend on."""
    if not calendar.is_session(session):
        raise NotASessionError(session)
    return calendar.latest_sessions(session, WINDOW)[0], session


def _keys(symbols: Sequence[str], session: date) -> dict[str, str]:
    """Return each symbol's key."""
    first, last = _window(session)
    stem = f"{settings.REDIS_PREFIX}:features:{feature_version()}:{session.isoformat()}"
    stamp = default_lake().stamp(Timeframe.DAY, first, last)
    actions = _actions(symbols, first, last)
    return {symbol: f"{stem}:{stamp}:{actions.get(symbol, '')}:{symbol}" for symbol in symbols}


def _actions(symbols: Sequence[str], first: date, last: date) -> dict[str, str]:
    """Return a digest of each symbol's splits and dividends within the window; symbols without any are absent."""
    rows = CorporateAction.objects.filter(
        instrument__symbol__in=symbols, ex_date__gt=first, ex_date__lte=last
    ).order_by("instrument__symbol", "ex_date", "kind", "pk")
    digests: dict[str, hashlib._Hash] = {}
    for symbol, *values in rows.values_list("instrument__symbol", "kind", "ex_date", "ratio", "cash_amount"):
        digests.setdefault(symbol, hashlib.sha256()).update(repr(values).encode())
    return {symbol: digest.hexdigest()[:16] for symbol, digest in digests.items()}


def _computed(symbols: Sequence[str], session: date) -> dict[str, bytes]:
    """Compute rows from the bars; empty for a symbol without a bar of the session."""
    rows = dict.fromkeys(symbols, b"")
    if not symbols:
        return rows
    first, last = _window(session)
    frame = bars(symbols, start=first, end=last, adjustment="total_return", as_of=last)
    current = frame.filter(pl.col("date") == session)["symbol"]
    frame = frame.filter(pl.col("symbol").is_in(current.implode())).sort("symbol", "date")
    newest = alpha158_newest(frame).filter(pl.col("date") == session)
    matrix = np.ascontiguousarray(newest.select(FEATURES).to_numpy(), dtype=FLOATS)
    rows.update(zip(newest["symbol"], (row.tobytes() for row in matrix), strict=True))
    return rows


def _frame(symbols: Sequence[str], rows: Sequence[bytes], session: date) -> pl.DataFrame:
    matrix = np.frombuffer(b"".join(rows), dtype=FLOATS).reshape(len(rows), len(FEATURES))
    features = pl.from_numpy(matrix, schema=dict.fromkeys(FEATURES, pl.Float64))
    named = pl.DataFrame({"symbol": symbols}, schema={"symbol": pl.String}).with_columns(date=pl.lit(session))
    return named.hstack(features)
