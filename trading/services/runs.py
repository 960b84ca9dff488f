"""Take a strategy through its day: fresh bars → signals → targets → intents → orders, and after the close → report.

Each step's result is stored before the next begins. A run that is started again goes on behind its last completed
step, and orders cannot double: their ids and idempotency keys follow from the run alone.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from psycopg.types.json import Jsonb

from execution.crashpoints import Point, crashpoint
from execution.models import Account, Strategy
from marketdata import calendar
from signals.errors import ModelMissingError, SignalError
from signals.registry import NoActiveModelError
from signals.services.model_sources import active_pins
from signals.strategies.base import period_start
from signals.strategies.registry import get_strategy
from trading.errors import (
    LeaseLostError,
    OrdersStillOpenError,
    RunBusyError,
    RunFailedError,
)
from trading.models import Run
from trading.services import steps
from trading.states import (
    AFTER_CLOSE,
    BEFORE_FILLS,
    RUN_OVER,
    RunState,
    StepName,
    StepState,
)
from trading.types import Sizing, Stopwatch

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=120)
DAILY = "daily"

# The fence and the step are one statement: a run has some ten of them each day, and each trip costs.
RECORD_STEP = """
WITH held AS (UPDATE trading_run SET claimed_until = %s WHERE id = %s AND claim = %s RETURNING id)
INSERT INTO trading_runstep (run_id, name, state, output, error, started_at, finished_at)
SELECT held.id, %s, %s, %s, %s, %s, %s FROM held
ON CONFLICT (run_id, name) DO UPDATE SET state = excluded.state, output = excluded.output, error = excluded.error,
    started_at = excluded.started_at, finished_at = excluded.finished_at
"""

Step = Callable[[steps.Work], dict[str, Any]]
STEPS: dict[StepName, Step] = {
    StepName.FRESHNESS: steps.check_bars,
    StepName.SIGNALS: steps.make_signals,
    StepName.TARGETS: steps.make_targets,
    StepName.INTENTS: steps.make_intents,
    StepName.BATCH: steps.submit_batch,
    StepName.FILLS: steps.collect_fills,
    StepName.REPORT: steps.write_report,
}


def run_strategy(
    *,
    account: Account,
    strategy: Strategy,
    trading_date: date,
    kind: str = DAILY,
    wall_now: datetime,
    sizing: Sizing | None = None,
    take_over: bool = False,
) -> Run:
    """Decide and send the orders of one strategy for one session; what was done before is not done again.

    `sizing` counts when the run is new, the desk's own when it is None. `take_over` ignores another's lease: only for a
    caller who knows that its holder is dead.
    :raises RunBusyError: somebody else works on it
    :raises RunFailedError: a step failed; stored, and starting the run again repeats that step
    """
    run = _find_or_create(account, strategy, trading_date, kind, wall_now, sizing)
    if run.state in RUN_OVER or run.state == RunState.AWAITING_FILLS:
        return run
    watch = Stopwatch(wall_now)
    claim = _claim(run, watch.now(), take_over=take_over)
    _work(run, claim, BEFORE_FILLS, watch)
    _release(run, claim, RunState.AWAITING_FILLS, watch.now())
    return run


def finish_run(*, run: Run, wall_now: datetime, take_over: bool = False) -> Run:
    """Collect the fills and write the report; a run whose orders may still fill keeps waiting.

    :raises RunBusyError: somebody else works on it
    :raises RunFailedError: a step failed; stored
    """
    if run.state != RunState.AWAITING_FILLS:
        return run
    watch = Stopwatch(wall_now)
    claim = _claim(run, watch.now(), take_over=take_over)
    try:
        _work(run, claim, AFTER_CLOSE, watch)
    except OrdersStillOpenError as waiting:
        log.info("run_waits", run_id=run.pk, reason=str(waiting))
        _release(run, claim, RunState.AWAITING_FILLS, watch.now())
        return run
    _release(run, claim, RunState.COMPLETED, watch.now())
    log.info("run_completed", run_id=run.pk, orders=run.order_count, denied=run.denied_count)
    return run


def skip_run(
    *, account: Account, strategy: Strategy, trading_date: date, kind: str = DAILY, reason: str, wall_now: datetime
) -> Run:
    """Record that a session's run does not take place, and why; a run that exists is left as it is."""
    run, _ = Run.objects.get_or_create(
        account=account,
        strategy=strategy,
        trading_date=trading_date,
        kind=kind,
        defaults={**_new_fields(trading_date, wall_now), "sizing": {}, **_skipped(reason, wall_now)},
    )
    return run


def rebalance_reason(account: Account, strategy: Strategy, trading_date: date, kind: str = DAILY) -> str:
    """Say why the strategy does not renew its targets for this session; empty when it does.

    A monthly strategy is due on the first session of a month on which it gets all its orders past the gate, so a
    session missed, halted or denied is made up for on the next.
    """
    cadence = get_strategy(strategy.name).cadence
    start = period_start(cadence, trading_date)
    if start == trading_date:
        return ""
    done = Run.objects.filter(
        account=account,
        strategy=strategy,
        kind=kind,
        trading_date__gte=start,
        trading_date__lt=trading_date,
        state__in=(RunState.AWAITING_FILLS, RunState.COMPLETED),
        denied_count=0,
    )
    latest = done.order_by("-trading_date").values_list("trading_date", flat=True).first()
    return "" if latest is None else f"not a rebalance day: targets of this month are of {latest.isoformat()}"


def _find_or_create(
    account: Account, strategy: Strategy, trading_date: date, kind: str, wall_now: datetime, sizing: Sizing | None
) -> Run:
    key = {"account": account, "strategy": strategy, "trading_date": trading_date, "kind": kind}
    run = Run.objects.filter(**key).first()
    if run is None:
        fields = _new_fields(trading_date, wall_now)
        reason = rebalance_reason(account, strategy, trading_date, kind)
        if reason:
            fields |= {"sizing": {}, **_skipped(reason, wall_now)}
        else:
            fields |= _sized(account, strategy, sizing, wall_now)
        run = _insert(key, fields)
    run.account, run.strategy = account, strategy
    return run


def _sized(account: Account, strategy: Strategy, sizing: Sizing | None, wall_now: datetime) -> dict[str, Any]:
    """Return what the run is started with, the versions of its models among it; without a model it is skipped."""
    if sizing is not None:
        return {"sizing": sizing.as_json()}
    try:
        models = active_pins([strategy.name])
    except (NoActiveModelError, ModelMissingError) as missing:
        log.warning("run_skipped", strategy=strategy.name, reason=str(missing))
        return {"sizing": {}, **_skipped(str(missing), wall_now)}
    except SignalError as unusable:
        log.warning("model_not_pinned", strategy=strategy.name, reason=str(unusable))
        models = {}  # the run begins, and its signals say why they cannot be made
    return {"sizing": replace(steps.desk_sizing(account, strategy), models=models).as_json()}


def _insert(key: dict[str, Any], fields: dict[str, Any]) -> Run:
    """Store a new run, or return the one that somebody else stored in the same moment."""
    try:
        with transaction.atomic():
            return Run.objects.create(**key, **fields)
    except IntegrityError:
        return Run.objects.get(**key)


def _new_fields(trading_date: date, wall_now: datetime) -> dict[str, Any]:
    return {"as_of_date": calendar.previous_session(trading_date), "created_at": wall_now}


def _skipped(reason: str, wall_now: datetime) -> dict[str, Any]:
    return {"state": RunState.SKIPPED, "reason": reason, "finished_at": wall_now}


def _claim(run: Run, now: datetime, *, take_over: bool) -> uuid.UUID:
    """Take the lease in one fencing update.

    :raises RunBusyError: another worker holds it, or the run is over meanwhile
    """
    claim = uuid.uuid4()
    free = Q() if take_over else Q(claim__isnull=True) | Q(claimed_until__lt=now)
    workable = Run.objects.filter(free, pk=run.pk).exclude(state__in=RUN_OVER)
    fields: dict[str, Any] = {"claim": claim, "claimed_until": now + LEASE, "attempts": run.attempts + 1}
    if run.state != RunState.AWAITING_FILLS:
        fields |= {"state": RunState.RUNNING, "reason": "", "finished_at": None}
        fields["started_at"] = run.started_at or now
    if not workable.update(**fields):
        raise RunBusyError(f"run {run.pk} is worked on by somebody else, or over")
    for name, value in fields.items():
        setattr(run, name, value)
    return claim


def _work(run: Run, claim: uuid.UUID, names: Iterable[StepName], watch: Stopwatch) -> None:
    done = dict(run.steps.filter(state=StepState.COMPLETED).values_list("name", "output")) if run.attempts > 1 else {}
    crashpoint(Point.RUN_AFTER_CLAIM)
    work = steps.Work(run=run, watch=watch, outputs={StepName(name): output for name, output in done.items()})
    for name in names:
        if name in work.outputs:
            continue
        started_at = watch.now()
        try:
            work.outputs[name] = STEPS[name](work)
        except OrdersStillOpenError:
            raise
        except Exception as error:
            _record_failure(run, claim, name, started_at, watch.now(), error)
            raise RunFailedError(run.pk, name, str(error)) from error
        crashpoint(Point.RUN_BEFORE_RECORD)
        _record(run, claim, name, started_at, watch.now(), output=work.outputs[name])
        crashpoint(Point.RUN_AFTER_RECORD)
    _summarise(run, work.outputs)
    crashpoint(Point.RUN_BEFORE_RELEASE)


def _summarise(run: Run, outputs: dict[StepName, dict[str, Any]]) -> None:
    """Copy what lists and pages show from the steps to the run; `_release` writes it."""
    run.signal_set_id = outputs[StepName.SIGNALS]["signal_set"]
    run.order_count = outputs[StepName.BATCH]["accepted"]
    run.denied_count = outputs[StepName.BATCH]["denied"]
    run.report = outputs.get(StepName.REPORT, {})


def _record(
    run: Run,
    claim: uuid.UUID,
    name: StepName,
    started_at: datetime,
    finished_at: datetime,
    *,
    output: dict[str, Any] | None = None,
    error: str = "",
) -> None:
    """Store how a step ended and renew the lease, in one statement that does nothing without the lease.

    :raises LeaseLostError: somebody else took over
    """
    state = StepState.FAILED if error else StepState.COMPLETED
    lease = finished_at + LEASE
    step: list[Any] = [str(name), str(state), Jsonb(output or {}), error, started_at, finished_at]
    with connection.cursor() as cursor:
        cursor.execute(RECORD_STEP, [lease, run.pk, claim, *step])
        if not cursor.rowcount:
            raise LeaseLostError(f"run {run.pk} was taken over by somebody else")
    run.claimed_until = lease


def _record_failure(
    run: Run, claim: uuid.UUID, name: StepName, started_at: datetime, now: datetime, error: Exception
) -> None:
    message = f"{type(error).__name__}: {error}"
    log.warning("run_failed", run_id=run.pk, step=str(name), error=message)
    _record(run, claim, name, started_at, now, error=message)
    _release(run, claim, RunState.FAILED, now, reason=f"{name}: {message}"[:500])


def _release(run: Run, claim: uuid.UUID, state: RunState, now: datetime, *, reason: str = "") -> None:
    over = state in (RunState.COMPLETED, RunState.FAILED)
    _update_fenced(
        run,
        claim,
        claim=None,
        claimed_until=None,
        state=state,
        reason=reason,
        finished_at=now if over else None,
        signal_set_id=run.signal_set_id,
        order_count=run.order_count,
        denied_count=run.denied_count,
        report=run.report,
    )


def _update_fenced(run: Run, fence: uuid.UUID, **fields: Any) -> None:
    if not Run.objects.filter(pk=run.pk, claim=fence).update(**fields):
        raise LeaseLostError(f"run {run.pk} was taken over by somebody else")
    for name, value in fields.items():
        setattr(run, name, value)
