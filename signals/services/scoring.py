"""What a strategy is given to score, and what comes back: read once, hashed, nothing later than the as-of date."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from marketdata import calendar
from marketdata.selectors import bars as bars_of
from signals.errors import FeatureVersionError, FutureFeatureError, ModelMissingError, NotASessionError
from signals.feature_store import features_for
from signals.features import feature_version
from signals.strategies.base import SCORE_SCHEMA, CompositeStrategy, ModelStrategy, SignalStrategy

PRICES = ("open", "high", "low", "close", "volume")
SEARCHED_SESSIONS = 20
"""How far back the newest bar of a name without one of the as-of session is looked for, to say how old it is."""


@dataclass(frozen=True, slots=True)
class Material:
    """Everything a strategy will be told, read and not scored yet.

    `data_hash` is the SHA-256 over the rows that go in, `feature_version` empty where no features do.
    """

    data_hash: str
    feature_version: str
    score: Callable[[], pl.DataFrame]
    """Return the scores, columns of `SCORE_SCHEMA`; no row is dated after the as-of date."""


def material_for(strategy: SignalStrategy, symbols: Sequence[str], as_of: date) -> Material:
    """Read what the strategy wants to know about the symbols at the close of a session.

    :raises NotASessionError: `as_of` is no trading session
    :raises FutureFeatureError: a row is dated after it
    :raises ModelMissingError, FeatureVersionError: a model is missing, or was trained on other features
    """
    if not calendar.is_session(as_of):
        raise NotASessionError(as_of)
    if isinstance(strategy, ModelStrategy):
        return _of_features(strategy, symbols, as_of)
    if isinstance(strategy, CompositeStrategy):
        return _of_members(strategy, symbols, as_of)
    return _of_bars(strategy, symbols, as_of)


def _of_bars(strategy: SignalStrategy, symbols: Sequence[str], as_of: date) -> Material:
    bars = known_bars(symbols, as_of, strategy.lookback_sessions)
    return Material(rows_hash(bars, PRICES), "", lambda: _shaped(strategy.scores(bars, as_of), as_of))


def _of_features(strategy: ModelStrategy, symbols: Sequence[str], as_of: date) -> Material:
    model = strategy.model
    if model is None:
        raise ModelMissingError(strategy.name)
    version = feature_version()
    if model.feature_version != version:
        raise FeatureVersionError(strategy.name, model.feature_version, version)
    rows = features_for(symbols=symbols, session=as_of)
    frame = rows.frame
    _refuse_the_future(frame.select("symbol", "date"), as_of)
    late = _newest_bars(sorted(rows.missing), as_of)

    def score() -> pl.DataFrame:
        scored = (
            _shaped(strategy.scores_of_features(frame), as_of) if frame.height else pl.DataFrame(schema=SCORE_SCHEMA)
        )
        return pl.concat([scored, late]).sort("symbol")

    return Material(rows_hash(frame, model.features), version, score)


def _of_members(strategy: CompositeStrategy, symbols: Sequence[str], as_of: date) -> Material:
    told = {member.name: material_for(member, symbols, as_of) for member in strategy.members}
    digest = hashlib.sha256("".join(f"{name}:{one.data_hash};" for name, one in sorted(told.items())).encode())
    versions = {one.feature_version for one in told.values() if one.feature_version}

    def score() -> pl.DataFrame:
        return _shaped(strategy.combine({name: one.score() for name, one in told.items()}), as_of)

    return Material(digest.hexdigest(), next(iter(versions), ""), score)


def known_bars(symbols: Sequence[str], as_of: date, sessions: int) -> pl.DataFrame:
    """Return total-return bars of so many sessions up to `as_of`, adjusted as known then, sorted by symbol and date."""
    wide = calendar.sessions_between(as_of - timedelta(days=2 * sessions + 7), as_of)
    start = wide[-sessions:][0]
    return bars_of(symbols, start=start, end=as_of, adjustment="total_return", as_of=as_of).sort("symbol", "date")


def _newest_bars(symbols: Sequence[str], as_of: date) -> pl.DataFrame:
    """Return rows without a score for names that have no bar of the session, dated by the newest bar they have."""
    if not symbols:
        return pl.DataFrame(schema=SCORE_SCHEMA)
    bars = known_bars(symbols, as_of, SEARCHED_SESSIONS)
    newest = bars.group_by("symbol").agg(feature_date=pl.col("date").max())
    return newest.with_columns(score=pl.lit(None, pl.Float64)).select(SCORE_SCHEMA.names()).cast(SCORE_SCHEMA)


def _shaped(scores: pl.DataFrame, as_of: date) -> pl.DataFrame:
    shaped = scores.select(SCORE_SCHEMA.names()).cast(SCORE_SCHEMA).sort("symbol")
    _refuse_the_future(shaped.select("symbol", date="feature_date"), as_of)
    return shaped


def _refuse_the_future(dated: pl.DataFrame, as_of: date) -> None:
    for symbol, day in dated.filter(pl.col("date") > as_of).sort("symbol").rows():
        raise FutureFeatureError(symbol, day, as_of)


def rows_hash(frame: pl.DataFrame, columns: Sequence[str]) -> str:
    """Return the SHA-256 over symbols, dates and the bytes of float64 columns; null counts as NaN."""
    digest = hashlib.sha256("\n".join(frame["symbol"].to_list()).encode())
    digest.update(frame["date"].to_physical().to_numpy().tobytes())
    values = frame.select(pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in columns)
    digest.update(values.to_numpy().tobytes(order="F"))
    return digest.hexdigest()
