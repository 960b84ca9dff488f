"""Backtests from the wish to the stored result."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import structlog

from marketdata import calendar
from marketdata.models import Instrument
from marketdata.selectors import bars, corporate_actions_frame, coverage
from signals.backtest.files import delete_files, write_files
from signals.backtest.fits import with_settings
from signals.backtest.history import WARM_UP, BarHistory
from signals.backtest.search import Evaluate
from signals.backtest.spec import Spec, read_spec
from signals.backtest.study import Study, run_study, sessions_of
from signals.backtest.versions import code_version
from signals.backtest.walk_forward import RunWindows
from signals.errors import BacktestInputError, ModelMissingError, SignalError, UnknownStrategyError
from signals.features import feature_version
from signals.models import Backtest, BacktestState, ModelVersion
from signals.models.backtests import LONGEST_ERROR
from signals.parameters import BadParameter
from signals.progress import Cancelled, Progress, silent
from signals.services.model_sources import ModelSource, models_used, models_wanted, ready
from signals.strategies.base import SignalStrategy
from signals.strategies.registry import get_strategy, strategy_names

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]


def plan_backtest(*, kind: str, parameters: Mapping[str, Any], asked_by: str, wall_now: datetime) -> Backtest:
    """Store a wish after reading it strictly; nothing is computed.

    :raises BadParameter: a parameter is not allowed, or names what is not known here
    """
    spec = checked_spec(kind, parameters)
    row = Backtest.objects.create(
        kind=spec.kind,
        strategy=spec.strategy,
        title=spec.title,
        start_date=spec.start,
        end_date=spec.end,
        parameters=spec.as_json(),
        seed=spec.seed,
        asked_by=asked_by,
        created_at=wall_now,
    )
    log.info("backtest_planned", backtest=row.pk, kind=spec.kind, strategy=spec.strategy, asked_by=asked_by)
    return row


def checked_spec(kind: str, parameters: Mapping[str, Any]) -> Spec:
    """Read a specification and look up what it names: strategy, settings, symbols, sessions. Two queries at most.

    :raises BadParameter: a parameter is not allowed, or names what is not known here
    """
    spec = read_spec(kind, parameters)
    try:
        strategy = with_settings(get_strategy(spec.strategy), spec.settings)
        for name, given in spec.space.items():
            with_settings(strategy, {name: _example(given)})
        sessions_of(spec)
    except UnknownStrategyError as error:
        raise BadParameter("strategy", spec.strategy, f"one of {', '.join(strategy_names())}") from error
    except BacktestInputError as error:
        raise BadParameter(error.field, error.value, error.allowed) from error
    known = set(Instrument.objects.filter(symbol__in=spec.symbols).values_list("symbol", flat=True))
    unknown = [symbol for symbol in spec.symbols if symbol not in known]
    if unknown:
        raise BadParameter("symbols", ", ".join(unknown[:5]), "symbols of instruments that are known")
    return spec


def perform_backtest(
    *,
    backtest: Backtest,
    models: ModelSource | None,
    clock: Clock,
    progress: Progress = silent,
    run: RunWindows | None = None,
    evaluate: Evaluate | None = None,
) -> Backtest:
    """Compute a backtest and store what came out; one that is completed is left as it is.

    `models` hands out the models of strategies that score with one (None: there are none); `run` and `evaluate` may do
    windows and trials somewhere else. Begun again after a death,
    it computes the same and replaces what was there. `clock` gives wall time.
    :raises Cancelled: the caller's progress says so; stored as canceled
    :raises SignalError: it cannot be computed; stored as failed
    """
    if backtest.state == BacktestState.COMPLETED:
        return backtest
    _begin(backtest, clock())
    try:
        _compute(backtest, models, progress, run, evaluate)
    except Cancelled:
        _end(backtest, BacktestState.CANCELED, clock())
        raise
    except Exception as error:
        delete_files(backtest.key)
        told = str(error) if isinstance(error, SignalError) else f"{type(error).__name__}: {error}"
        _end(backtest, BacktestState.FAILED, clock(), error=told)
        raise
    _end(backtest, BacktestState.COMPLETED, clock())
    return backtest


def give_up(*, backtest: Backtest, state: BacktestState, error: str, wall_now: datetime) -> None:
    """Record that nobody works on a backtest any more; one that is over is left as it is."""
    if not backtest.is_over:
        _end(backtest, state, wall_now, error=error)


def _compute(
    backtest: Backtest,
    models: ModelSource | None,
    progress: Progress,
    run: RunWindows | None,
    evaluate: Evaluate | None,
) -> None:
    progress(0, 1000, "reading bars")
    spec = read_spec(backtest.kind, backtest.parameters)
    strategy = _strategy(spec, models)
    history = load_history(spec, strategy)
    study = run_study(spec, strategy, history, progress=progress, run=run, evaluate=evaluate)
    write_files(backtest.key, study)
    backtest.code_version = code_version(strategy)
    backtest.data_version = history.digest
    backtest.feature_version = feature_version() if models_wanted(strategy) else ""
    backtest.model_versions = models_used(strategy)
    backtest.metrics, backtest.detail = study.metrics, study.detail | _universe(spec, history, study)


def _strategy(spec: Spec, models: ModelSource | None) -> SignalStrategy:
    """Return the strategy, with its models unless it learns them in the windows of a walk forward.

    :raises BacktestInputError: a model knows a day on which it would be judged
    """
    strategy = get_strategy(spec.strategy)
    wanted = models_wanted(strategy)
    if spec.kind == "walk_forward" or not wanted:
        return strategy
    if models is None:
        raise ModelMissingError(spec.strategy)
    strategy = ready(strategy, models)
    _refuse_models_that_know(spec, strategy)
    return strategy


def _refuse_models_that_know(spec: Spec, strategy: SignalStrategy) -> None:
    """A model judged on days it was trained on has seen the answers; a walk forward is the honest way over them."""
    first = sessions_of(spec)[0]
    for name, version in models_used(strategy).items():
        last = ModelVersion.objects.filter(pk=version).values_list("last_date", flat=True).first()
        if last is None or last >= first:
            raise BacktestInputError(
                "start",
                spec.start,
                f"a date more than a session after {last}, up to which version {version} of {name} knows the data"
                " (or a walk forward, which trains anew)",
            )


def load_history(spec: Spec, strategy: SignalStrategy) -> BarHistory:
    """Read the bars that a specification needs: the strategy's look-back, the range, and nothing after it.

    :raises BacktestInputError: no bar is stored for the symbols in the range
    """
    symbols = spec.symbols or tuple(coverage()["symbol"].to_list())
    first = sessions_of(spec)[0]
    back = max(strategy.lookback_sessions, WARM_UP) + 5
    start = calendar.latest_sessions(first - timedelta(days=1), back)[0]
    raw = bars(symbols, start=start, end=spec.end)
    if raw.filter(pl.col("date") >= spec.start).is_empty():
        raise BacktestInputError("start, end", f"{spec.start} to {spec.end}", _stored(symbols))
    return BarHistory(raw, corporate_actions_frame(symbols))


def _stored(symbols: tuple[str, ...]) -> str:
    known = coverage().filter(coverage()["symbol"].is_in(symbols))
    if known.is_empty():
        return "symbols with stored bars (manage.py import_bars)"
    first, last = known.select(pl.col("first").min(), pl.col("last").max()).row(0)
    return f"dates from {first} to {last}, where bars are stored"


def _universe(spec: Spec, history: BarHistory, study: Study) -> dict[str, Any]:
    first, last = study.days["date"][0], study.days["date"][-1]
    in_range = history.bars.filter(pl.col("date").is_between(first, last))
    with_bars = set(in_range["symbol"].unique())
    ends = in_range.group_by("symbol").agg(pl.col("date").max())
    gone = sorted(symbol for symbol, day in ends.rows() if day < last)
    return {
        "symbols": len(history.symbols),
        "without_bars": sorted(set(spec.symbols or history.symbols) - with_bars)[:50],
        "ended_early": gone[:50],
    }


def _example(given: Mapping[str, Any]) -> Any:
    return given["choices"][0] if "choices" in given else given["low"]


def _begin(backtest: Backtest, now: datetime) -> None:
    backtest.state, backtest.started_at, backtest.finished_at, backtest.error = BacktestState.RUNNING, now, None, ""
    backtest.save(update_fields=["state", "started_at", "finished_at", "error"])


def _end(backtest: Backtest, state: BacktestState, now: datetime, *, error: str = "") -> None:
    backtest.state, backtest.finished_at, backtest.error = state, now, error[:LONGEST_ERROR]
    if state != BacktestState.COMPLETED:
        backtest.metrics = backtest.detail = None
    backtest.save()
    log.info("backtest_over", backtest=backtest.pk, state=str(state), error=backtest.error)
