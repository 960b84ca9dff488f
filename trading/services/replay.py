"""Trade through stored sessions with the production path: decide on the close of day t, trade at the open of t + 1.

Nothing here knows how to trade: it moves a clock and calls the services that the desk's processes call. Each part of
a day may be repeated, and the last part done is stored, so a replay that was killed goes on where it stopped and ends
with the same orders and numbers.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import perf_counter_ns

import polars as pl
import structlog
from django.db import connection, transaction

from execution.models import Account, Strategy
from execution.services.accounts import ensure_strategy, open_account
from execution.services.recovery import recover_account
from marketdata import calendar
from marketdata.clock import BEFORE_OPEN
from marketdata.lake import default_lake
from marketdata.models import Instrument
from marketdata.providers.replay import ReplayProvider
from marketdata.selectors import coverage
from marketdata.services.feeds import create_manual_feed, set_market_time
from signals.services.model_sources import models_wanted
from signals.strategies.registry import code_of, get_strategy, strategy_names
from trading import selectors
from trading.errors import ReplayParameterError
from trading.models import ReplayRun, Run
from trading.services.market_day import (
    Desk,
    before_open,
    close_books,
    dispatch_all,
    hold_closing,
    hold_opening,
)
from trading.services.runs import finish_run, run_strategy
from trading.states import ReplayState, RunState, Stage
from trading.types import ReplayParameters, Sizing

log = structlog.get_logger(__name__)

RUNS_BEFORE_OPEN = timedelta(minutes=25)
STAGES = tuple(Stage)


@dataclass(frozen=True, slots=True)
class DayDone:
    """One replayed session, for progress: its number from 1, of how many, and what it took (nanoseconds)."""

    day: date
    number: int
    total: int
    nanoseconds: int


@dataclass(slots=True)
class Replay:
    """A replay in progress."""

    row: ReplayRun
    parameters: ReplayParameters
    desk: Desk
    strategies: list[Strategy]
    wall_clock: Callable[[], datetime]

    @property
    def sizing(self) -> Sizing:
        """Return each strategy's equal part of the capital."""
        return Sizing(
            symbols=self.parameters.symbols,
            capital=self.parameters.capital / len(self.strategies),
            max_position_size=self.parameters.max_position_size,
            models={name: pin.version_id for name, pin in self.parameters.models.items()},
        )


def replay_range(
    *,
    parameters: ReplayParameters,
    wall_clock: Callable[[], datetime],
    fresh: bool = False,
    on_start: Callable[[ReplayRun, list[date]], None] | None = None,
    on_day: Callable[[DayDone], None] | None = None,
) -> ReplayRun:
    """Replay the range, going on with an interrupted replay of the same parameters unless `fresh`.

    A finished replay is not touched: the same parameters again make a new one on an account of its own.
    :raises ReplayParameterError: a parameter is not allowed; nothing is stored
    :raises RunFailedError: a run failed; the replay is stored as it stands and goes on there when started again
    """
    sessions = sessions_of(parameters)
    _require_models(parameters)
    strategies = [ensure_strategy(name=name) for name in parameters.strategies]
    with _claimed(parameters, wall_clock(), fresh=fresh) as row, _commits_without_waiting():
        provider = ReplayProvider(default_lake(), symbols=parameters.symbols)
        replay = Replay(row, parameters, Desk.of(row.account, provider), strategies, wall_clock)
        remaining = [day for day in sessions if row.last_completed_date is None or day > row.last_completed_date]
        if on_start is not None:
            on_start(row, remaining)
        if row.stage_date is not None and remaining:
            recover_account(account=row.account, broker=replay.desk.broker, wall_now=wall_clock())
        for number, day in enumerate(remaining, start=len(sessions) - len(remaining) + 1):
            started = perf_counter_ns()
            _play(replay, day)
            if on_day is not None:
                on_day(DayDone(day, number, len(sessions), perf_counter_ns() - started))
        _complete(row, wall_clock())
    return row


def sessions_of(parameters: ReplayParameters) -> list[date]:
    """Return the sessions of the range.

    :raises ReplayParameterError: a name is not known, or no bars are stored for part of the range
    """
    _require_names(parameters)
    if parameters.start > parameters.end:
        raise ReplayParameterError(f"--from: got {parameters.start}, allowed: a date up to --to {parameters.end}")
    covered = coverage().filter(pl.col("symbol").is_in(parameters.symbols))
    if covered.is_empty():
        raise ReplayParameterError(f"--symbols: got {' '.join(parameters.symbols)}, allowed: symbols with stored bars")
    first, last = (date.fromisoformat(str(day)) for day in (covered["first"].min(), covered["last"].max()))
    sessions = calendar.sessions_between(parameters.start, parameters.end)
    if not sessions or sessions[0] <= first or sessions[-1] > last:
        raise ReplayParameterError(
            f"--from/--to: got {parameters.start} to {parameters.end}, allowed: sessions after {first}"
            f" and up to {last}, where bars are stored"
        )
    return sessions


def _require_names(parameters: ReplayParameters) -> None:
    known = strategy_names()
    unknown = [name for name in parameters.strategies if name not in known]
    if unknown or not parameters.strategies:
        raise ReplayParameterError(f"--strategy: got {' '.join(unknown) or 'none'}, allowed: {', '.join(known)}")
    symbols = set(Instrument.objects.filter(tradable=True).values_list("symbol", flat=True))
    unknown = [symbol for symbol in parameters.symbols if symbol not in symbols]
    if unknown or not parameters.symbols:
        raise ReplayParameterError(
            f"--symbols: got {' '.join(unknown) or 'none'}, allowed: {', '.join(sorted(symbols))}"
        )
    if not parameters.capital.is_finite() or parameters.capital <= 0:
        raise ReplayParameterError(f"--capital: got {parameters.capital}, allowed: an amount above 0")
    if not parameters.max_position_size.is_finite() or parameters.max_position_size < 1:
        raise ReplayParameterError(
            f"--max-position-size: got {parameters.max_position_size}, allowed: a number of shares from 1"
        )


def _require_models(parameters: ReplayParameters) -> None:
    wanted = {model for name in parameters.strategies for model in models_wanted(get_strategy(name))}
    if missing := sorted(wanted - set(parameters.models)):
        raise ReplayParameterError(
            f"--strategy: got {' '.join(parameters.strategies)}, allowed: strategies whose models are given;"
            f" none is for {', '.join(missing)}"
        )


def parameter_hash(parameters: ReplayParameters) -> str:
    """Return the SHA-256 of everything the result depends on: the parameters and the code of the strategies."""
    versions = {name: code_of(get_strategy(name)) for name in parameters.strategies}
    return hashlib.sha256(json.dumps([parameters.as_json(), versions], sort_keys=True).encode()).hexdigest()


@contextmanager
def _claimed(parameters: ReplayParameters, wall_now: datetime, *, fresh: bool) -> Iterator[ReplayRun]:
    """Yield the interrupted replay of these parameters, or a new one; nobody else works on it meanwhile.

    The claim is a session's advisory lock: it ends with the process, however that ends.
    """
    digest = parameter_hash(parameters)
    row = None if fresh else selectors.unfinished_replay(digest)
    if row is None or not _try_lock(row):
        row = _create(parameters, digest, wall_now)
        _try_lock(row)
    else:
        log.info("replay_resumed", replay_id=row.pk, after=str(row.last_completed_date))
    try:
        yield row
    finally:
        _unlock(row)


@contextmanager
def _commits_without_waiting() -> Iterator[None]:
    """Let this connection's commits not wait for the disk.

    Nothing of a replay leaves the machine. Killing the process loses nothing; a crash of the database may lose the last
    moments, in order and as a whole, and the replay goes on before them.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO off")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET synchronous_commit")


@transaction.atomic
def _create(parameters: ReplayParameters, digest: str, wall_now: datetime) -> ReplayRun:
    """Store a new replay with a feed and an account of its own. Locks: the creation of replays."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('new replay', 0))")
    newest = ReplayRun.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    name = f"paper-run-{newest + 1}"
    first = calendar.sessions_between(parameters.start, parameters.end)[0]
    feed = create_manual_feed(name=name, market_at=calendar.session_open(first) - BEFORE_OPEN)
    account = open_account(
        name=name,
        mode=Account.Mode.DRY_RUN if parameters.dry_run else Account.Mode.PAPER,
        kind=Account.Kind.REPLAY,
        feed=feed,
        starting_cash=parameters.capital,
        wall_now=wall_now,
    )
    row = ReplayRun.objects.create(
        parameter_hash=digest,
        parameters=parameters.as_json(),
        account=account,
        start_date=parameters.start,
        end_date=parameters.end,
        created_at=wall_now,
    )
    log.info("replay_created", replay_id=row.pk, account=name)
    return row


def _lock_name(row: ReplayRun) -> str:
    return f"replay {row.pk}"


def _try_lock(row: ReplayRun) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [_lock_name(row)])
        return bool(cursor.fetchone()[0])


def _unlock(row: ReplayRun) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [_lock_name(row)])


def _play(replay: Replay, day: date) -> None:
    """Play what is left of one session."""
    row = replay.row
    done = STAGES.index(Stage(row.stage)) + 1 if row.stage_date == day and row.stage else 0
    for stage in STAGES[done:]:
        PARTS[stage](replay, day)
        row.stage_date, row.stage = day, stage
        if stage == STAGES[-1]:
            row.last_completed_date = day
        row.save(update_fields=["stage_date", "stage", "last_completed_date"])


def _before_open(replay: Replay, day: date) -> None:
    _set_time(replay, calendar.session_open(day) - BEFORE_OPEN)
    before_open(replay.desk, day, replay.wall_clock())


def _decide(replay: Replay, day: date) -> None:
    _set_time(replay, calendar.session_open(day) - RUNS_BEFORE_OPEN)
    for strategy in replay.strategies:
        run_strategy(
            account=replay.desk.account,
            strategy=strategy,
            trading_date=day,
            wall_now=replay.wall_clock(),
            sizing=replay.sizing,
            take_over=True,
        )
    dispatch_all(replay.desk, replay.wall_clock())


def _open(replay: Replay, day: date) -> None:
    _set_time(replay, calendar.session_open(day))
    hold_opening(replay.desk, day, replay.wall_clock())


def _close(replay: Replay, day: date) -> None:
    _set_time(replay, calendar.session_close(day))
    hold_closing(replay.desk, day, replay.wall_clock())


def _close_books(replay: Replay, day: date) -> None:
    close_books(replay.desk, day, replay.wall_clock())
    waiting = Run.objects.filter(account=replay.desk.account, trading_date=day, state=RunState.AWAITING_FILLS)
    for run in waiting.select_related("account", "strategy").order_by("pk"):
        finish_run(run=run, wall_now=replay.wall_clock(), take_over=True)


def _set_time(replay: Replay, at: datetime) -> None:
    set_market_time(feed=replay.desk.account.feed, at=at)


def _complete(row: ReplayRun, wall_now: datetime) -> None:
    row.state, row.finished_at = ReplayState.COMPLETED, wall_now
    row.save(update_fields=["state", "finished_at"])


PARTS: dict[Stage, Callable[[Replay, date], None]] = {
    Stage.PRE_OPEN: _before_open,
    Stage.RUNS: _decide,
    Stage.OPEN: _open,
    Stage.CLOSE: _close,
    Stage.BOOKS: _close_books,
}
