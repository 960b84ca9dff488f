"""A whole backtest from its specification: decisions, trades, and everything that is told about them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from marketdata import calendar
from signals.backtest.bootstrap import LEAST_SESSIONS, bootstrap
from signals.backtest.decisions import decide, weight_matrix, within_caps
from signals.backtest.engine import simulate
from signals.backtest.fits import ModelFit, NoFit, SearchFit, with_settings
from signals.backtest.history import BarHistory
from signals.backtest.measures import daily_returns, drawdowns, measure_path, measures, monthly_returns
from signals.backtest.panel import FloatArray, Panel, carried_forward
from signals.backtest.result import BacktestResult, result_of
from signals.backtest.search import Evaluate, Parameters, deflated_sharpe, search
from signals.backtest.spec import Spec
from signals.backtest.walk_forward import Fit, RunWindows, WalkForward, walk_forward
from signals.errors import BacktestInputError
from signals.evaluation import daily_ic, evaluate
from signals.evaluation.report import plain
from signals.labels import HORIZONS, forward_returns
from signals.progress import Progress, part_of, silent
from signals.services.model_sources import models_wanted
from signals.strategies.base import SignalStrategy, rules_of

FEWEST_QUANTILES, MOST_QUANTILES = 2, 5
MOST_TRIALS_TOLD = 200


@dataclass(frozen=True, slots=True)
class Study:
    """What came out. `days` has a row a session from the first that may trade; `metrics` are plain numbers by name.

    `detail` holds what lists and comparisons do not need: evaluation of the scores, bootstrap, months, windows, trials.
    """

    days: pl.DataFrame
    orders: pl.DataFrame
    decisions: pl.DataFrame
    metrics: dict[str, float | int | None]
    detail: dict[str, Any]


def run_study(
    spec: Spec,
    strategy: SignalStrategy,
    history: BarHistory,
    *,
    progress: Progress = silent,
    run: RunWindows | None = None,
    evaluate: Evaluate | None = None,
) -> Study:
    """Decide, trade and measure what a specification asks for. `strategy` is ready to score, or learns in a walk
    forward.

    The same specification, bars and code give the same numbers.
    :raises BacktestInputError: the range, the symbols or a parameter cannot be used
    :raises Cancelled: the caller's progress says so
    """
    sessions = sessions_of(spec)
    strategy = with_settings(strategy, spec.settings)
    tell = part_of(progress, start=0, share=900, total=1000)
    detail: dict[str, Any] = {}
    if spec.kind == "walk_forward":
        walked = _walk(spec, strategy, history, sessions, tell, run)
        sessions, decisions = [day for day in sessions if day >= walked.windows[0].test[0]], walked.decisions
    elif spec.kind == "search":
        decisions, detail = _search(spec, strategy, history, sessions, tell, evaluate)
    else:
        decisions = decide(strategy, history, sessions[:-1], progress=tell)
    decisions = within_caps(decisions, rules_of(strategy))
    panel, result = trade(spec, history, sessions, decisions, part_of(progress, start=900, share=50, total=1000))
    if spec.kind == "walk_forward":
        detail["windows"] = _windows(walked, result)
    if spec.kind == "search":
        detail |= _parts(spec, result, detail)
    study = _told(spec, panel, result, decisions, history, detail, part_of(progress, start=950, share=50, total=1000))
    progress(1000, 1000, "done")
    return study


def sessions_of(spec: Spec) -> list[date]:
    """Return the session before the range, whose close decides first, and those of the range.

    :raises BacktestInputError: fewer than two sessions
    """
    sessions = calendar.sessions_between(spec.start, spec.end)
    if len(sessions) < 2:
        raise BacktestInputError("start, end", f"{spec.start} to {spec.end}", "a range of at least two sessions")
    return [calendar.previous_session(sessions[0]), *sessions]


def trade(
    spec: Spec, history: BarHistory, sessions: Sequence[date], decisions: pl.DataFrame, progress: Progress = silent
) -> tuple[Panel, BacktestResult]:
    """Trade decisions over sessions; the first session only decides and is left out of the result."""
    panel = history.panel(sessions)
    rules = spec.rules
    needs = bool(rules.costs.impact) or rules.max_participation is not None
    trace = simulate(
        panel,
        weight_matrix(decisions, panel),
        rules,
        fills=history.matrix("open", panel) if spec.fill == "open" else None,
        liquidity=history.liquidity(panel) if needs else None,
        progress=progress,
    )
    whole = result_of(panel, trace, rules)
    return panel, BacktestResult(whole.equity[1:], whole.orders, whole.days[1:], rules.capital)


def buy_and_hold(panel: Panel, capital: float) -> FloatArray:
    """Return the equity of equal parts in each name that has a price on the first row, dividends reinvested, no
    costs."""
    held = ~np.isnan(panel.prices[0])
    if not held.any():
        return np.full(len(panel.dates), capital)
    marks = carried_forward(panel.prices[:, held])
    equity: FloatArray = capital * (marks / marks[0]).mean(axis=1)
    return equity


def _walk(
    spec: Spec,
    strategy: SignalStrategy,
    history: BarHistory,
    sessions: Sequence[date],
    progress: Progress,
    run: RunWindows | None,
) -> WalkForward:
    fit: Fit
    if models_wanted(strategy):
        fit = ModelFit(strategy, history, spec.model, spec.seed, spec.plan.embargo)
    elif spec.space:
        fit = SearchFit(strategy, history, spec.space, spec.trials, spec.seed, _Judge(spec, history))
    else:
        fit = NoFit(strategy, history)
    return walk_forward(sessions[:-1], spec.plan, fit, progress=progress, run=run)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Trade a strategy over sessions and say how good it was; a value, so that it can be sent elsewhere."""

    spec: Spec
    history: BarHistory

    def __call__(self, strategy: SignalStrategy, sessions: Sequence[date]) -> float | None:
        decisions = within_caps(decide(strategy, self.history, sessions[:-1]), rules_of(strategy))
        _, result = trade(self.spec, self.history, sessions, decisions)
        path = measure_path(result.equity["equity"].to_numpy(), result.capital)
        value: float | None = getattr(path, self.spec.objective)
        return value


@dataclass(frozen=True, slots=True)
class _Objective:
    """How good a strategy is with some settings; a value, so that it can be sent elsewhere."""

    judge: _Judge
    strategy: SignalStrategy
    known: Sequence[date]

    def __call__(self, chosen: Parameters) -> float | None:
        return self.judge(with_settings(self.strategy, chosen), self.known)


def _search(
    spec: Spec,
    strategy: SignalStrategy,
    history: BarHistory,
    sessions: Sequence[date],
    progress: Progress,
    evaluate: Evaluate | None,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Search on the first part of the sessions, then decide all of them with the best."""
    known = sessions[: max(int(len(sessions) * (1 - spec.holdout)), 2)]
    if len(known) < LEAST_SESSIONS or len(sessions) - len(known) < 2:
        raise BacktestInputError("holdout", spec.holdout, f"a share that leaves {LEAST_SESSIONS} sessions to search on")
    found = search(
        spec.space,
        _Objective(_Judge(spec, history), strategy, known),
        trials=spec.trials,
        seed=spec.seed,
        batch=spec.batch,
        evaluate=evaluate,
        progress=progress,
    )
    best = with_settings(strategy, found.best.parameters)
    told = sorted(found.trials, key=lambda trial: (-(trial.value if trial.value is not None else -1e300), trial.number))
    detail = {
        "trials": [asdict(trial) for trial in told[:MOST_TRIALS_TOLD]],
        "best": found.best.parameters,
        "searched_until": known[-1].isoformat(),
    }
    return decide(best, history, sessions[:-1]), detail


def _parts(spec: Spec, result: BacktestResult, detail: Mapping[str, Any]) -> dict[str, Any]:
    """Measure the searched part and the part that the search never saw, each from its own start."""
    until = date.fromisoformat(detail["searched_until"])
    seen = result.equity.filter(pl.col("date") <= until)["equity"].to_numpy()
    rest = result.equity.filter(pl.col("date") > until)["equity"].to_numpy()
    tried = [trial["value"] for trial in detail["trials"] if trial["value"] is not None]
    chance = deflated_sharpe(daily_returns(seen, result.capital), tried) if spec.objective == "sharpe" else None
    return {
        "searched": plain(asdict(measure_path(seen, result.capital))),
        "held_out": plain(asdict(measure_path(rest, float(seen[-1])))) if len(rest) and seen[-1] > 0 else None,
        "deflated_sharpe": chance,
    }


def _windows(walked: WalkForward, result: BacktestResult) -> list[dict[str, Any]]:
    """Tell each window's sessions and what its test sessions earned."""
    told, before = [], result.capital
    for window in walked.windows:
        rows = result.equity.filter(pl.col("date").is_between(window.test[0], window.test[-1]))
        if rows.is_empty():
            continue
        path = measure_path(rows["equity"].to_numpy(), before)
        spans = {
            name: [part[0].isoformat(), part[-1].isoformat()] if part else None
            for name, part in (("train", window.train), ("valid", window.valid), ("test", window.test))
        }
        told.append({"number": window.number, **spans, "return": path.total_return, "sharpe": path.sharpe})
        before = float(rows["equity"][-1])
    return plain(told)  # type: ignore[no-any-return]


def _told(
    spec: Spec,
    panel: Panel,
    result: BacktestResult,
    decisions: pl.DataFrame,
    history: BarHistory,
    detail: dict[str, Any],
    progress: Progress,
) -> Study:
    benchmark = buy_and_hold(panel, result.capital)[1:]
    equity = result.equity["equity"].to_numpy()
    evaluated, ic = _evaluation(decisions, history, panel.dates[-1])
    metrics = measures(result, benchmark) | {"rank_ic": evaluated["rank_ic"]["mean"], "ic": evaluated["ic"]["mean"]}
    detail = {**detail, "evaluation": evaluated, "months": monthly_returns(result.days, result.capital).to_dicts()}
    if spec.draws and len(equity) >= LEAST_SESSIONS:
        returns, capital = daily_returns(equity, result.capital), result.capital
        block = min(spec.block, len(equity))
        drawn = bootstrap(returns, capital=capital, draws=spec.draws, block=block, seed=spec.seed, progress=progress)
        detail["bootstrap"] = _named_quantiles(asdict(drawn))
    days = result.days.with_columns(
        benchmark=pl.Series(benchmark), drawdown=pl.Series(drawdowns(equity, result.capital))
    ).join(ic, on="date", how="left")
    return Study(days, result.orders, decisions, plain(metrics), plain(detail))


def _evaluation(decisions: pl.DataFrame, history: BarHistory, last: date) -> tuple[dict[str, Any], pl.DataFrame]:
    """Hold the scores against what came after, within the range; return the figures and `date, ic` (rank)."""
    returns = forward_returns(history.until(last), horizons=HORIZONS).with_columns(label=pl.col("forward_1"))
    frame = decisions.select("date", "symbol", "score").join(returns, on=["symbol", "date"], how="left")
    quantiles = min(max(frame["symbol"].n_unique() // 2, FEWEST_QUANTILES), MOST_QUANTILES)
    told = evaluate(frame, returns={held: f"forward_{held}" for held in HORIZONS}, quantiles=quantiles)
    daily = daily_ic(frame, method="spearman").select("date", "ic")
    return told, daily


def _named_quantiles(drawn: dict[str, Any]) -> dict[str, Any]:
    """Write the levels of quantiles as texts, as JSON wants names to be."""
    for figure in ("sharpe", "max_drawdown", "final_equity"):
        drawn[figure]["quantiles"] = {f"{level:g}": value for level, value in drawn[figure]["quantiles"].items()}
    return drawn
