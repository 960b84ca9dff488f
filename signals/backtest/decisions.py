"""What a strategy would have decided at each close, asked the way the desk asks it."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl

from marketdata import calendar
from signals.backtest.asking import scores_at
from signals.backtest.history import BarHistory
from signals.backtest.panel import FloatArray, Panel
from signals.portfolio import ZERO, PortfolioRules, approach, make_room
from signals.progress import Progress, silent
from signals.services.generation import admit
from signals.strategies.base import SignalStrategy, period_start

DECISION_SCHEMA = pl.Schema({"date": pl.Date, "symbol": pl.String, "score": pl.Float64, "weight": pl.Float64})
"""One row a session and scored symbol: its score and its target weight. Symbols without a score have no row."""


def decide(
    strategy: SignalStrategy, history: BarHistory, sessions: Sequence[date], *, progress: Progress = silent
) -> pl.DataFrame:
    """Ask a strategy at the close of each session it is due, and return its scores and weights.

    It is handed the bars of its look-back up to that session, adjusted as known then, and nothing else: there is no way
    to what comes later. A monthly strategy is asked on the first session given and on the last of each month, whose
    orders are for the first of the next.
    """
    due = due_sessions(strategy, sessions)
    rows = []
    for at, session in enumerate(due):
        progress(at, len(due), f"{strategy.name}: deciding {session.isoformat()}")
        rows.append(decide_one(strategy, history, session))
    progress(len(due), len(due), f"{strategy.name}: decided")
    return pl.concat(rows) if rows else pl.DataFrame(schema=DECISION_SCHEMA)


def decide_one(strategy: SignalStrategy, history: BarHistory, session: date) -> pl.DataFrame:
    """Return the rows of one session, columns of `DECISION_SCHEMA`.

    :raises FutureFeatureError: the strategy reports a feature of a later date
    """
    return weighed(strategy, scores_at(strategy, history, session), session, history.symbols)


def weighed(strategy: SignalStrategy, scores: pl.DataFrame, session: date, symbols: Sequence[str]) -> pl.DataFrame:
    """Admit scores by the desk's rules and give the admitted ones the weights that the strategy wants."""
    admitted = admit(scores, symbols=symbols, as_of=session).scores
    weights = strategy.weights(admitted)
    return admitted.select(
        pl.lit(session).alias("date"),
        "symbol",
        "score",
        weight=pl.Series([float(weights.get(symbol, 0)) for symbol in admitted["symbol"]], dtype=pl.Float64),
    ).cast(DECISION_SCHEMA)


def within_caps(decisions: pl.DataFrame, rules: PortfolioRules | None) -> pl.DataFrame:
    """Hold the wanted weights of session after session within the gross cap and the turnover of one renewal.

    What is held counts as what was decided last; the drift of prices since then is left out. Names without a score
    today keep what they have, and the others make room for them.
    """
    if rules is None or decisions.is_empty():
        return decisions
    present: dict[str, Decimal] = {}
    parts = []
    for day in decisions.sort("date", "symbol").partition_by("date", maintain_order=True):
        wanted = {symbol: Decimal(f"{weight:.6f}") for symbol, weight in day.select("symbol", "weight").rows()}
        unscored = [weight for symbol, weight in present.items() if symbol not in wanted]
        scored = {symbol: weight for symbol, weight in present.items() if symbol in wanted}
        moved = approach(make_room(wanted, unscored, rules), scored, rules.turnover)
        present |= {symbol: moved.get(symbol, ZERO) for symbol in wanted}
        weights = [float(present[symbol]) for symbol in day["symbol"]]
        parts.append(day.with_columns(weight=pl.Series(weights, dtype=pl.Float64)))
    return pl.concat(parts)


def due_sessions(strategy: SignalStrategy, sessions: Sequence[date]) -> list[date]:
    """Return the sessions at whose close the strategy renews its targets."""
    cadence = strategy.cadence
    return [
        session
        for at, session in enumerate(sessions)
        if at == 0 or period_start(cadence, calendar.next_session(session)) != period_start(cadence, session)
    ]


def weight_matrix(decisions: pl.DataFrame, panel: Panel) -> FloatArray:
    """Return target weights in the shape of a panel; NaN, "leave it", where nothing was decided about a symbol."""
    weights = np.full(panel.prices.shape, np.nan)
    rows = {day: at for at, day in enumerate(panel.dates)}
    columns = {symbol: at for at, symbol in enumerate(panel.symbols)}
    known = decisions.filter(pl.col("symbol").is_in(panel.symbols), pl.col("date").is_in(panel.dates))
    where = [rows[day] for day in known["date"]], [columns[symbol] for symbol in known["symbol"]]
    weights[where] = known["weight"].to_numpy()
    return weights
