"""Make and store the signals of one strategy as of one session's close."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import structlog
from django.db import transaction

from marketdata import calendar
from marketdata.models import Instrument
from marketdata.selectors import bars as bars_of
from signals.errors import FutureFeatureError, NotASessionError, UnknownSymbolsError
from signals.models import ExcludedReason, Signal, SignalSet
from signals.strategies.base import SCORE_SCHEMA, SignalStrategy
from signals.strategies.registry import code_version

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Scores that may become weights, best first, and why the other symbols may not."""

    scores: pl.DataFrame
    excluded: dict[str, ExcludedReason]


def generate_signals(*, strategy: SignalStrategy, symbols: Sequence[str], as_of: date, wall_now: datetime) -> SignalSet:
    """Return the stored signals of these inputs; compute and store them when they are new.

    Prices are adjusted for dividends and splits as known on `as_of`, and no row after it is read.
    :raises UnknownSymbolsError: a symbol is no instrument
    :raises NotASessionError: `as_of` is no trading session
    :raises FutureFeatureError: the strategy reports a feature dated after `as_of`
    """
    instruments = _instruments(symbols)
    bars = _known_bars(strategy, sorted(instruments), as_of)
    identity = _identity(strategy, sorted(instruments), as_of, bars)
    stored = SignalSet.objects.filter(**identity).first()
    if stored is not None:
        return stored
    scores = strategy.scores(bars, as_of).select(SCORE_SCHEMA.names()).cast(SCORE_SCHEMA)
    admitted = admit(scores, symbols=sorted(instruments), as_of=as_of)
    for symbol, reason in admitted.excluded.items():
        log.info("signal_excluded", strategy=strategy.name, as_of=str(as_of), symbol=symbol, reason=str(reason))
    weights = strategy.weights(admitted.scores)
    return _store(strategy, identity, sorted(instruments), scores, admitted, weights, instruments, wall_now)


def admit(scores: pl.DataFrame, *, symbols: Sequence[str], as_of: date) -> Admitted:
    """Split scores into usable ones, ranked, and symbols excluded with a reason (SG5).

    :raises FutureFeatureError: a feature is dated after `as_of`
    """
    excluded = dict.fromkeys(symbols, ExcludedReason.NO_BARS)
    usable = []
    for symbol, score, feature_date in scores.sort("symbol").rows():
        if feature_date > as_of:
            raise FutureFeatureError(symbol, feature_date, as_of)
        reason = _exclusion(score, feature_date, as_of)
        if reason is None:
            usable.append(symbol)
            del excluded[symbol]
        else:
            excluded[symbol] = reason
    kept = scores.filter(pl.col("symbol").is_in(usable)).sort("score", "symbol", descending=[True, False])
    return Admitted(kept, excluded)


def _exclusion(score: float | None, feature_date: date, as_of: date) -> ExcludedReason | None:
    if feature_date != as_of:
        return ExcludedReason.STALE_FEATURE
    if score is None:
        return ExcludedReason.INSUFFICIENT_HISTORY
    if score - score != 0:  # NaN and both infinities
        return ExcludedReason.NOT_FINITE
    return None


def _instruments(symbols: Sequence[str]) -> dict[str, int]:
    found = dict(Instrument.objects.filter(symbol__in=symbols).values_list("symbol", "pk"))
    unknown = sorted(set(symbols) - set(found))
    if unknown:
        raise UnknownSymbolsError(unknown)
    return found


def _known_bars(strategy: SignalStrategy, symbols: list[str], as_of: date) -> pl.DataFrame:
    if not calendar.is_session(as_of):
        raise NotASessionError(as_of)
    wide = calendar.sessions_between(as_of - timedelta(days=2 * strategy.lookback_sessions), as_of)
    start = wide[-strategy.lookback_sessions :][0]
    return bars_of(symbols, start=start, end=as_of, adjustment="total_return", as_of=as_of).sort("symbol", "date")


def _identity(strategy: SignalStrategy, symbols: list[str], as_of: date, bars: pl.DataFrame) -> dict[str, object]:
    return {
        "strategy": strategy.name,
        "as_of_date": as_of,
        "universe_hash": _digest(symbols),
        "parameters_hash": _digest(strategy.parameters),
        "data_hash": _data_hash(bars),
        "code_version": code_version(type(strategy)),
    }


def _digest(value: object) -> str:
    canonical = value if isinstance(value, list) else dict(value)  # type: ignore[call-overload]
    return hashlib.sha256(json.dumps(canonical, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _data_hash(bars: pl.DataFrame) -> str:
    digest = hashlib.sha256("\n".join(bars["symbol"].to_list()).encode())
    digest.update(bars["date"].to_physical().to_numpy().tobytes())
    for column in ("open", "high", "low", "close", "volume"):
        digest.update(bars[column].cast(pl.Float64).to_numpy().tobytes())
    return digest.hexdigest()


@transaction.atomic
def _store(
    strategy: SignalStrategy,
    identity: dict[str, object],
    symbols: list[str],
    scores: pl.DataFrame,
    admitted: Admitted,
    weights: dict[str, Decimal],
    instruments: dict[str, int],
    wall_now: datetime,
) -> SignalSet:
    """Insert the set, or adopt the one another process stored first."""
    feature_dates = dict(scores.select("symbol", "feature_date").rows())
    signal_set, created = SignalSet.objects.get_or_create(
        **identity,
        defaults={
            "universe": symbols,
            "parameters": dict(strategy.parameters),
            "feature_date": max(feature_dates.values(), default=None),
            "created_at": wall_now,
        },
    )
    if created:
        ranked = admitted.scores.select("symbol", "score").rows()
        rows = [
            Signal(
                signal_set=signal_set,
                instrument_id=instruments[symbol],
                score=score,
                rank=rank,
                target_weight=weights.get(symbol, Decimal(0)),
                feature_date=feature_dates[symbol],
            )
            for rank, (symbol, score) in enumerate(ranked, start=1)
        ]
        rows += [
            Signal(
                signal_set=signal_set,
                instrument_id=instruments[symbol],
                feature_date=feature_dates.get(symbol),
                excluded_reason=reason,
            )
            for symbol, reason in admitted.excluded.items()
        ]
        Signal.objects.bulk_create(rows)
    return signal_set
