"""Reads of the operators' desk: is everything alive, may we trade, what have we got, with one verdict.

What cannot be read is reported as unknown, and unknown is never healthy.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from execution.models import Account, Order
from execution.selectors import open_orders, unknown_outcomes
from execution.services.wishes import kept_wishes
from marketdata.types import FeedState
from ops_console.health import silences
from ops_console.snapshot.broker_line import described, line_tone, troubles
from ops_console.snapshot.desk import Desk, read_desk
from risk.states import BreakerState
from trading.models import Run
from trading.selectors import runs
from trading.states import RunState

SUPERVISOR_FILE = Path("run") / "supervisor.json"
ANSWER_PATIENCE = timedelta(seconds=30)
SHOWN_ORDERS, SHOWN_RUNS = 20, 6


class Verdict(StrEnum):
    """How one thing, or all of it, stands."""

    HEALTHY = "healthy"
    HALTED = "halted"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the status: a thing, how it stands, and the words for it."""

    name: str
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class DeskStatus:
    """Everything an operator wants to know first."""

    desk: Desk
    findings: list[Finding]
    open_orders: list[Order] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """Halted when trading is known to be stopped, else degraded when anything is not as it should be."""
        found = {finding.verdict for finding in self.findings}
        return next((one for one in (Verdict.HALTED, Verdict.DEGRADED) if one in found), Verdict.HEALTHY)


def desk_status(wall_now: datetime) -> DeskStatus:
    """Return the desk's status; a database or a Redis that is away is part of the answer, never an error."""
    try:
        desk = read_desk(wall_now)
    except InterfaceError:
        desk = Desk(wall_now=wall_now, mode=str(settings.TRADING_MODE), database=False, redis=False)
    findings = [*_servers(desk), *_processes(desk), *_trading_state(desk), *_wishes()]
    if desk.account is None:
        return DeskStatus(desk, findings)
    try:
        return _with_book(desk, desk.account, findings)
    except (DatabaseError, InterfaceError):
        return DeskStatus(desk, [*findings, _bad("orders", "unknown: the database does not answer")])


def _with_book(desk: Desk, account: Account, findings: list[Finding]) -> DeskStatus:
    newest = list(runs(account=account)[:SHOWN_RUNS])
    book = [_outcomes(desk, account), *_marks(desk), _newest_runs(newest)]
    orders = list(open_orders(account).order_by("-id")[:SHOWN_ORDERS])
    return DeskStatus(desk, [*findings, *book], orders, newest)


def supervised_processes(var_dir: Path | str) -> dict[str, dict[str, Any]]:
    """Return what the supervisor last wrote of its processes, by name, with `alive` as seen now; empty without one."""
    try:
        written = json.loads((Path(var_dir) / SUPERVISOR_FILE).read_text(encoding="utf-8"))
        processes = {str(item["name"]): dict(item) for item in written["processes"]}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    for item in processes.values():
        item["alive"] = isinstance(item.get("pid"), int) and psutil.pid_exists(item["pid"])
    return processes


def _good(name: str, text: str) -> Finding:
    return Finding(name, Verdict.HEALTHY, text)


def _bad(name: str, text: str) -> Finding:
    return Finding(name, Verdict.DEGRADED, text)


def _stopped(name: str, text: str) -> Finding:
    return Finding(name, Verdict.HALTED, text)


def _servers(desk: Desk) -> Iterable[Finding]:
    yield _good("database", "answers") if desk.database else _bad("database", "AWAY: nothing below is known")
    yield _good("redis", "answers") if desk.redis else _bad("redis", "AWAY: live pages wait, orders go on")


def _processes(desk: Desk) -> Iterable[Finding]:
    supervised = supervised_processes(settings.VAR_DIR)
    names = dict.fromkeys((*supervised, *silences()))
    for name in names:
        yield _process(name, supervised.get(name), desk.age_of(name), heard=desk.database)


def _process(name: str, supervised: dict[str, Any] | None, age: int | None, *, heard: bool) -> Finding:
    silence = silences()
    beats = name in silence
    if age is not None and age <= silence.get(name, 0):
        return _good(name, f"heartbeat {age} s ago")
    silent = "no heartbeat yet" if age is None else f"last heartbeat {age} s ago"
    if beats and not heard:
        return _bad(name, "unknown: heartbeats are kept in the database")
    if supervised is None:
        return _bad(name, f"not running ({silent})")
    if not supervised["alive"]:
        return _bad(name, "not running: the supervisor's process is gone")
    if beats:
        return _bad(name, f"process {supervised['pid']} runs, but {silent}")
    restarts = supervised.get("restarts") or 0
    return _good(name, f"process {supervised['pid']} runs" + (f", restarted {restarts} times" if restarts else ""))


def _trading_state(desk: Desk) -> Iterable[Finding]:
    yield _kill_switch(desk)
    for status in desk.stopped_strategies:
        yield _stopped(f"kill switch {status.scope}", f"ENGAGED by {status.operator}: {status.reason}")
    yield _breaker(desk)
    if desk.account is None:
        yield _bad("account", "unknown" if not desk.database else f"no account for mode {desk.mode}: start with `up`")
        return
    yield _reconciliation(desk.account)
    yield _feed(desk, desk.account)
    if desk.has_line:
        yield from _line(desk)


def _kill_switch(desk: Desk) -> Finding:
    if desk.kill is None:
        return _bad("kill switch", "UNKNOWN")
    if not desk.stops:
        return _good("kill switch", "off")
    first = desk.stops[0]
    since = f" since {first.at:%Y-%m-%d %H:%M:%S} UTC by {first.operator}" if first.at else ""
    return _stopped("kill switch", f"ENGAGED ({first.scope}){since}: {first.reason}")


def _breaker(desk: Desk) -> Finding:
    breaker = desk.breaker
    if breaker is None:
        return _bad("breaker", "UNKNOWN")
    if breaker.state == BreakerState.OPEN:
        return _good("breaker", "open (trading)")
    until = f" until {breaker.quiet_until:%H:%M:%S} UTC" if breaker.state == BreakerState.QUIET_PERIOD else ""
    return _stopped("breaker", f"{breaker.state.value.upper()}{until}, only reducing orders pass: {breaker.reason}")


def _reconciliation(account: Account) -> Finding:
    text = Account.Reconciliation(account.reconciliation).label
    clean = account.reconciliation == Account.Reconciliation.CLEAN
    return _good("reconciliation", text) if clean else _bad("reconciliation", f"{text}: nothing is sent")


def _feed(desk: Desk, account: Account) -> Finding:
    feed = account.feed
    text = f"{feed.described(desk.wall_now)}, {feed.state}"
    if feed.last_tick_at is not None:
        text += f", last heard {max(int((desk.wall_now - feed.last_tick_at).total_seconds()), 0)} s ago"
    if feed.problem:
        text += f"; {feed.problem}"
    return _good("feed", text) if feed.state == FeedState.LIVE else _bad("feed", text)


def _line(desk: Desk) -> Iterable[Finding]:
    text = described(desk.link, desk.wall_now)
    yield _good("broker", text) if line_tone(desk.link, desk.wall_now) == "good" else _bad("broker", text)
    for found in troubles(desk.link, desk.wall_now):
        yield _bad("broker", f"{found.title}: {found.text}")


def _wishes() -> Iterable[Finding]:
    for wish in kept_wishes(settings.VAR_DIR):
        yield _bad("kill switch wish", f"{wish.operator} wanted {wish.scope} stopped; it has not reached the database")


def _outcomes(desk: Desk, account: Account) -> Finding:
    count = unknown_outcomes(account, wall_now=desk.wall_now, older_than=ANSWER_PATIENCE).count()
    if count:
        return _bad("answers", f"{count} orders were sent and never answered")
    return _good("answers", "every sent order was answered")


def _marks(desk: Desk) -> Iterable[Finding]:
    stale = desk.pnl.summary.stale_marks if desk.pnl is not None else 0
    if stale:
        yield _bad("marks", f"{stale} positions are valued at an old price")


def _newest_runs(newest: list[Run]) -> Finding:
    latest: dict[str, Run] = {}
    for run in newest:
        latest.setdefault(run.strategy.name, run)
    failed = [
        f"{name} {run.trading_date}: {run.reason}" for name, run in latest.items() if run.state == RunState.FAILED
    ]
    if failed:
        return _bad("runs", f"FAILED {'; '.join(failed)}")
    return _good("runs", f"newest for {newest[0].trading_date}" if newest else "none yet")
