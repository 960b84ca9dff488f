"""Engages of the kill switch that could not reach the database, kept on disk until somebody can carry them out."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import structlog

from execution.crashpoints import Point, crashpoint
from execution.services.halt import engage_kill_switch
from execution.types import HaltReport
from risk.models import GLOBAL_SCOPE
from risk.services.kill_switch import LEVELS
from risk.states import SwitchLevel

log = structlog.get_logger(__name__)
FILE = Path("run") / "kill_switch_engage.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who wanted to stop what, how far and why; `asked_at` is wall time, ISO 8601."""

    scope: str
    operator: str
    reason: str
    source: str
    asked_at: str
    level: str = "halted"
    everything: bool = False
    at_open: bool = False


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
    with _alone(path):
        draft = path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            json.dump([asdict(kept) for kept in (*kept_wishes(var_dir), wish)], file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        crashpoint(Point.WISH_BEFORE_KEPT)
        draft.replace(path)
    crashpoint(Point.WISH_AFTER_KEPT)
    return path


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only one on this machine who changes the wishes; the lock goes with a process that dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kept_wishes(var_dir: Path | str) -> list[Wish]:
    """Return the wishes that wait, oldest first; a file that cannot be read counts as a wish to stop everything."""
    try:
        return [Wish(**fields) for fields in json.loads((Path(var_dir) / FILE).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        reason = f"unreadable wish on disk: {error}"[:500]
        return [Wish(scope=GLOBAL_SCOPE, operator="unknown", reason=reason, source="system", asked_at="")]


def fulfil_wishes(var_dir: Path | str, *, wall_now: datetime) -> list[HaltReport]:
    """Carry out the wishes that wait and put their file aside; costs one look at the disk when there are none.

    Whatever happened since they were asked for: a person decides about the release, not the passing of time. A wish
    that comes meanwhile stays for the next look, which carries out all of them again; engaging twice does no harm.
    """
    path = Path(var_dir) / FILE
    if not path.exists():
        return []
    wishes = kept_wishes(var_dir)
    reports = [
        engage_kill_switch(
            scope=wish.scope,
            operator=wish.operator,
            reason=wish.reason,
            source=wish.source,
            wall_now=wall_now,
            level=wish.level if wish.level in LEVELS else SwitchLevel.HALTED,
            everything=wish.everything,
            at_open=wish.at_open,
        )
        for wish in wishes
    ]
    crashpoint(Point.WISH_BEFORE_MOVE)
    with _alone(path):
        # Another process may have carried them out as well, or kept one more.
        if kept_wishes(var_dir) == wishes and path.exists():
            path.replace(path.with_name(f"kill_switch_engaged_{wall_now:%Y%m%dT%H%M%S}.json"))
    crashpoint(Point.WISH_AFTER_MOVE)
    log.warning("kill_switch_wishes_fulfilled", event_ids=[report.event_id for report in reports])
    return reports
