"""Callables the worker may be asked to run. Each may be asked for twice and does its work once.

Only names in `TASKS` can be enqueued, and only `perform` is ever run (`trading.work_queue`), so that a row in the
queue's table is never a way to run something else.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import structlog
from django_q.tasks import async_task

from execution.brokers.base import BrokerError
from execution.brokers.registry import broker_for
from execution.errors import ReconciliationUnderWay
from execution.models import Account, ReconciliationRun, Strategy
from execution.reconciliation.runs import reconcile as compare
from execution.services.corporate_actions import apply_corporate_actions
from execution.services.reports import apply_reports
from execution.services.sessions import close_session
from execution.services.slices import work_parents
from marketdata.clock import wall_now
from marketdata.services.ticks import keep_ticks as clean_ticks
from marketdata.types import FeedKind
from signals.feature_store import precompute
from trading.data.tasks import tradable_symbols
from trading.errors import RunBusyError
from trading.models import Run
from trading.services.broker_assets import refresh_assets
from trading.services.heartbeats import beat
from trading.services.portfolio_watch import look_at_portfolio
from trading.services.runs import finish_run as finish
from trading.services.runs import run_strategy, skip_run
from trading.services.session_bars import import_session_bars
from trading.services.shadow_runs import score_version as score_shadow_version
from trading.services.shadow_runs import settle_results
from trading.states import RunState
from trading.work_queue import ENTRANCE

log = structlog.get_logger(__name__)

WORKER = "worker"
MOST_PRECOMPUTED = 2_000
"""Symbols whose features are a matter of seconds; more of them are work for the process `jobs`."""


def run_daily(account_id: int, strategy: str, trading_date: str) -> str:
    """Decide and send a strategy's orders for a session."""
    account, day = _account(account_id), date.fromisoformat(trading_date)
    if account.feed.kind == FeedKind.REAL:
        apply_corporate_actions(account=account, day=day, wall_now=wall_now())
    try:
        run = run_strategy(
            account=account, strategy=Strategy.objects.get(name=strategy), trading_date=day, wall_now=wall_now()
        )
    except RunBusyError as busy:
        log.info("run_busy", reason=str(busy))
        return RunState.RUNNING
    return str(run.state)


def skip_daily(account_id: int, strategy: str, trading_date: str) -> str:
    """Record that a session's run was missed."""
    run = skip_run(
        account=_account(account_id),
        strategy=Strategy.objects.get(name=strategy),
        trading_date=date.fromisoformat(trading_date),
        reason="missed: nobody was running before the opening auction's cut-off",
        wall_now=wall_now(),
    )
    return str(run.state)


def close_day(account_id: int, day: str) -> str:
    """Write a session's closing rows."""
    account = _account(account_id)
    apply_reports(account=account, broker=broker_for(account), wall_now=wall_now())
    closed = close_session(account=account, day=date.fromisoformat(day), wall_now=wall_now())
    return f"{closed.equity:f}"


def import_bars(account_id: int) -> str:
    """Import the bars of the last sessions where they are missing."""
    return f"{import_session_bars(account=_account(account_id), wall_now=wall_now())} bars"


def read_assets(account_id: int) -> str:
    """Read what the broker trades and lends."""
    return f"{len(refresh_assets(account=_account(account_id), wall_now=wall_now()))} permissions changed"


def send_slices(account_id: int) -> str:
    """Work the parent orders that have something to be done; what is still to be done then is asked for anew."""
    return f"{work_parents(account=_account(account_id), now=wall_now)} slices sent"


def reconcile(account_id: int) -> str:
    """Compare the account's book with its broker's; the run keeps what came of it."""
    account = _account(account_id)
    try:
        run = compare(
            account=account,
            broker=broker_for(account),
            trigger=ReconciliationRun.Trigger.TIMER,
            wall_now=wall_now(),
        )
    except (BrokerError, ReconciliationUnderWay) as reason:
        log.info("reconciliation_without_verdict", account=account.name, reason=str(reason))
        return f"no verdict: {reason}"
    return str(run.state)


def finish_run(run_id: int) -> str:
    """Collect a run's fills and write its report."""
    run = Run.objects.select_related("account__feed", "strategy").get(pk=run_id)
    try:
        finish(run=run, wall_now=wall_now())
    except RunBusyError as busy:
        log.info("run_busy", reason=str(busy))
    return str(run.state)


def score_version(account_id: int, version_id: int, trading_date: str) -> str:
    """Ask a version in the shadow what the run of a session was asked."""
    day = date.fromisoformat(trading_date)
    made = score_shadow_version(account=_account(account_id), version_id=version_id, day=day, wall_now=wall_now())
    return str(made)


def settle_shadow_results(account_id: int, strategy: str, until: str) -> str:
    """Store what a strategy's versions would have brought in the sessions up to a date."""
    last = date.fromisoformat(until)
    made = settle_results(account=_account(account_id), strategy=strategy, until=last, wall_now=wall_now())
    return f"{made} results"


def watch_portfolio(account_id: int) -> str:
    """Measure the portfolio, and how alike names moved."""
    found = look_at_portfolio(account=_account(account_id), wall_now=wall_now())
    return f"{found.sessions} sessions, {len(found.by_name)} names"


def keep_ticks(account_id: int) -> str:
    """Delete ticks beyond the retention and put those of past days together."""
    kept = clean_ticks(wall_now=wall_now())
    return f"{kept.deleted} files deleted, {kept.merged} put together"


def precompute_features(session: str) -> str:
    """Put the features of a session into the cache, for all tradable symbols."""
    symbols = tradable_symbols()
    if len(symbols) > MOST_PRECOMPUTED:
        log.info("features_not_precomputed", symbols=len(symbols), most=MOST_PRECOMPUTED, instead="a job `precompute`")
        return f"{len(symbols)} symbols are work for a job"
    done = precompute(symbols=symbols, session=date.fromisoformat(session))
    return f"{done.rows} rows, {done.there_before} there before"


def worker_heartbeat(sent_at: str) -> None:
    """Show that the worker takes tasks and how long they wait."""
    now = wall_now()
    waited = now - datetime.fromisoformat(sent_at)
    beat(name=WORKER, wall_now=now, detail={"waited_ms": int(waited.total_seconds() * 1000)})


def _account(account_id: int) -> Account:
    return Account.objects.select_related("feed").get(pk=account_id)


TASKS: dict[str, Callable[..., object]] = {
    task.__name__: task
    for task in (
        run_daily,
        skip_daily,
        close_day,
        finish_run,
        import_bars,
        read_assets,
        send_slices,
        watch_portfolio,
        score_version,
        settle_shadow_results,
        reconcile,
        keep_ticks,
        precompute_features,
        worker_heartbeat,
    )
}


LATE = timedelta(minutes=10)
"""Wall time after which a waiting task is not begun: what is still due is asked for again by whoever finds it due."""
TOO_LATE = "too late"


def enqueue(task: str, *arguments: str | int) -> str:
    """Put an allowed task into the queue, in the caller's transaction; return its id.

    :raises KeyError: the task is not allowed
    """
    name = TASKS[task].__name__
    return str(async_task(ENTRANCE, name, *arguments, asked_at=wall_now().isoformat(), task_name=name))


def perform(task: str, *arguments: str | int, asked_at: str) -> object:
    """Run an allowed task that was asked for a moment ago; what waited longer is refused, with a line in the log.

    A worker that was away, or a machine that slept, would otherwise begin with yesterday's work.
    :raises KeyError: the task is not allowed
    """
    run = TASKS[task]
    waited = wall_now() - datetime.fromisoformat(asked_at)
    if waited > LATE:
        log.warning("task_too_late", task=task, arguments=list(arguments), waited_seconds=int(waited.total_seconds()))
        return TOO_LATE
    return run(*arguments)
