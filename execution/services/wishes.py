"""Engages of the kill switch that could not reach the database, kept on disk until somebody can carry them out."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import TextIO
from uuid import uuid4

import structlog

from execution.crashpoints import Point, crashpoint
from execution.services.halt import engage_kill_switch
from execution.types import HaltReport
from risk.errors import InvalidReason, InvalidScope
from risk.models import GLOBAL_SCOPE
from risk.services.alerts import raise_alert
from risk.services.kill_switch import LEVELS
from risk.states import AlertSeverity, SwitchLevel

log = structlog.get_logger(__name__)
FILE = Path("run") / "kill_switch_engage.json"
REFUSED = "kill_switch_wish_refused"
TRIES, TRY_EVERY = 40, timedelta(milliseconds=50)
PAUSE = Event()
"""Never set: waiting for it is a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who wanted to stop what, how far and why; `asked_at` is wall time, ISO 8601.

    :raises TypeError: a word that is no text
    """

    scope: str
    operator: str
    reason: str
    source: str
    asked_at: str
    level: str = "halted"
    everything: bool = False
    at_open: bool = False

    def __post_init__(self) -> None:
        for name in ("scope", "operator", "reason", "source", "asked_at", "level"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name}: got {getattr(self, name)!r}, a text is needed")


def keep_wish(
    var_dir: Path | str,
    *,
    scope: str,
    operator: str,
    reason: str,
    source: str,
    wall_now: datetime,
    level: str = "halted",
    everything: bool = False,
    at_open: bool = False,
) -> Path:
    """Add an engage to those that wait on disk and return their file. Locks: the wishes' file."""
    path = Path(var_dir) / FILE
    wish = Wish(
        scope=scope,
        operator=operator,
        reason=reason,
        source=source,
        asked_at=wall_now.isoformat(),
        level=level,
        everything=everything,
        at_open=at_open,
    )
    with _alone(path) as is_alone:
        before = _read(path) if is_alone else []
        if not is_alone:  # somebody hangs who may still write the file: this one goes beside it
            path = path.with_name(f"{path.stem}_{uuid4().hex}{path.suffix}")
        draft = path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            json.dump([asdict(kept) for kept in (*before, wish)], file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        crashpoint(Point.WISH_BEFORE_KEPT)
        draft.replace(path)
    crashpoint(Point.WISH_AFTER_KEPT)
    return path


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Try for two seconds to be the only one on this machine who changes the wishes; tell whether it is so.

    The lock goes with a process that dies. One that hangs while it holds it keeps nobody from stopping anything.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w", encoding="utf-8") as file:
        is_alone = any(_try_lock(file) or PAUSE.wait(TRY_EVERY.total_seconds()) for _ in range(TRIES))
        if not is_alone:
            log.error("kill_switch_wishes_locked", file=str(path))
        yield is_alone


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def kept_wishes(var_dir: Path | str) -> list[Wish]:
    """Return the wishes that wait, oldest first; a file that cannot be read counts as a wish to stop everything."""
    return [wish for path in _files(var_dir) for wish in _read(path)]


def _files(var_dir: Path | str) -> list[Path]:
    """Return the files of wishes: the one that all share, then those that were kept beside it."""
    path = Path(var_dir) / FILE
    return [path, *sorted(path.parent.glob(f"{path.stem}_*{path.suffix}"))]


def _read(path: Path) -> list[Wish]:
    try:
        return [Wish(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        reason = f"unreadable wish on disk: {error}"[:500]
        return [Wish(scope=GLOBAL_SCOPE, operator="unknown", reason=reason, source="system", asked_at="")]


def _fulfil(wish: Wish, wall_now: datetime) -> HaltReport | None:
    """Carry one wish out; one whose scope or reason makes no sense is told to people and keeps no other waiting."""
    try:
        return engage_kill_switch(
            scope=wish.scope,
            operator=wish.operator,
            reason=wish.reason,
            source=wish.source,
            wall_now=wall_now,
            level=wish.level if wish.level in LEVELS else SwitchLevel.HALTED,
            everything=wish.everything,
            at_open=wish.at_open,
        )
    except (InvalidScope, InvalidReason) as refusal:
        log.error("kill_switch_wish_refused", scope=str(wish.scope), operator=str(wish.operator), reason=str(refusal))
        raise_alert(
            code=REFUSED,
            subject=f"scope:{wish.scope}",
            severity=AlertSeverity.CRITICAL,
            message=f"NOTHING was stopped for a wish that {wish.operator} has kept on disk: {refusal}. "
            f"Engage what was meant now. The reason was: {wish.reason}",
            now=wall_now,
        )
        return None


def fulfil_wishes(var_dir: Path | str, *, wall_now: datetime) -> list[HaltReport]:
    """Carry out the wishes that wait and put their file aside; costs one look at the disk when there are none.

    Whatever happened since they were asked for: a person decides about the release, not the passing of time. A wish
    that comes meanwhile stays for the next look, which carries out all of them again; engaging twice does no harm.
    """
    found = {path: _read(path) for path in _files(var_dir) if path.exists()}
    if not found:
        return []
    wishes = [wish for kept in found.values() for wish in kept]
    reports = [report for report in (_fulfil(wish, wall_now) for wish in wishes) if report is not None]
    crashpoint(Point.WISH_BEFORE_MOVE)
    with _alone(Path(var_dir) / FILE) as is_alone:
        # Another process may have carried them out as well, or kept one more.
        for path, kept in found.items():
            if is_alone and path.exists() and _read(path) == kept:
                aside = path.stem.replace("engage", f"engaged_{wall_now:%Y%m%dT%H%M%S}")
                path.replace(path.with_name(aside + path.suffix))
    crashpoint(Point.WISH_AFTER_MOVE)
    log.warning("kill_switch_wishes_fulfilled", event_ids=[report.event_id for report in reports])
    return reports
