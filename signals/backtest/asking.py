"""Ask a strategy at a close of the past, whatever it scores with: bars, features and a model, or other strategies."""

from datetime import date

import polars as pl

from signals.backtest.history import BarHistory
from signals.errors import FutureFeatureError, ModelMissingError
from signals.strategies.base import SCORE_SCHEMA, CompositeStrategy, ModelStrategy, SignalStrategy


def scores_at(strategy: SignalStrategy, history: BarHistory, session: date) -> pl.DataFrame:
    """Return what the strategy says at the close of a session, columns of `SCORE_SCHEMA`, by symbol.

    It is handed rows up to that session and no others. Features of the whole history are computed once: the row of a
    session depends on the rows before it alone.
    :raises FutureFeatureError: it reports a feature of a later date
    :raises ModelMissingError: it scores with a model and has none
    """
    if isinstance(strategy, ModelStrategy):
        scores = _of_features(strategy, history, session)
    elif isinstance(strategy, CompositeStrategy):
        scores = strategy.combine({member.name: scores_at(member, history, session) for member in strategy.members})
    else:
        scores = strategy.scores(history.window(session, strategy.lookback_sessions), session)
    scores = scores.select(SCORE_SCHEMA.names()).cast(SCORE_SCHEMA).sort("symbol")
    for symbol, day in scores.filter(pl.col("feature_date") > session).select("symbol", "feature_date").rows():
        raise FutureFeatureError(symbol, day, session)
    return scores


def _of_features(strategy: ModelStrategy, history: BarHistory, session: date) -> pl.DataFrame:
    if strategy.model is None:
        raise ModelMissingError(strategy.name)
    rows = history.features_of(session)
    return strategy.scores_of_features(rows) if rows.height else pl.DataFrame(schema=SCORE_SCHEMA)
