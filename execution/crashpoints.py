"""Named places on the way of an order where a test may kill the process, to see what a new one makes of it.

Outside ENVIRONMENT=test there is nothing here: `crashpoint` is bound once, at import, to a function that returns. In
tests a process dies by SIGKILL at the passage that it was started for (`CRASH_AT=name` or `name:3`) or told to (`arm`).

A new place takes a member of `Point`, a call where it is meant, and a case in `tests/faults/kill_cases.py`; tests see
to it that each of them has all three.
"""

import os
import signal
from collections.abc import Callable
from enum import StrEnum

from django.conf import settings

MOST_PASSAGES = 1_000_000


class Point(StrEnum):
    """Where a process may be killed; the name says between which two things."""

    GATE_BEFORE_WRITE = "gate_before_write"
    GATE_BEFORE_COMMIT = "gate_before_commit"
    GATE_AFTER_COMMIT = "gate_after_commit"
    GROUP_BEFORE_COMMIT = "group_before_commit"
    REPLACE_BEFORE_WRITE = "replace_before_write"
    REPLACE_BEFORE_COMMIT = "replace_before_commit"
    REPLACE_AFTER_COMMIT = "replace_after_commit"
    CLAIM_BEFORE_COMMIT = "claim_before_commit"
    CLAIM_AFTER_COMMIT = "claim_after_commit"
    SUBMIT_BEFORE_CALL = "submit_before_call"
    SUBMIT_AFTER_CALL = "submit_after_call"
    REPLACE_BEFORE_CALL = "replace_before_call"
    REPLACE_AFTER_CALL = "replace_after_call"
    ANSWERS_BEFORE_SAVE = "answers_before_save"
    ANSWERS_BEFORE_COMMIT = "answers_before_commit"
    ANSWERS_AFTER_COMMIT = "answers_after_commit"
    CANCEL_BEFORE_COMMIT = "cancel_before_commit"
    CANCEL_AFTER_COMMIT = "cancel_after_commit"
    CANCEL_BEFORE_CALL = "cancel_before_call"
    CANCEL_AFTER_CALL = "cancel_after_call"
    UPDATES_BEFORE_ENDS = "updates_before_ends"
    CHECK_AFTER_EXECUTIONS = "check_after_executions"
    INBOX_BEFORE_COMMIT = "inbox_before_commit"
    INBOX_AFTER_COMMIT = "inbox_after_commit"
    REPORTS_BEFORE_SAVE = "reports_before_save"
    REPORTS_BEFORE_CURSOR = "reports_before_cursor"
    REPORTS_BEFORE_COMMIT = "reports_before_commit"
    REPORTS_AFTER_COMMIT = "reports_after_commit"
    RECOVERY_AFTER_REPORTS = "recovery_after_reports"
    RESOLVE_AFTER_ASKING = "resolve_after_asking"
    RESOLVE_BEFORE_COMMIT = "resolve_before_commit"
    RECOVERY_BEFORE_STATE = "recovery_before_state"
    RECOVERY_AFTER_STATE = "recovery_after_state"
    KILL_AFTER_ROW = "kill_after_row"
    KILL_BEFORE_COMMIT = "kill_before_commit"
    KILL_BETWEEN_ACCOUNTS = "kill_between_accounts"
    KILL_AFTER_CANCELS = "kill_after_cancels"
    HALT_AFTER_CANCELS = "halt_after_cancels"
    HALT_AFTER_LOOK = "halt_after_look"
    HALT_AFTER_ORDER = "halt_after_order"
    HALT_AFTER_CLOSING = "halt_after_closing"
    HALT_BEFORE_END = "halt_before_end"
    HALT_AFTER_END = "halt_after_end"
    LOCK_AFTER_NOTE = "lock_after_note"
    LOCK_AFTER_CALL = "lock_after_call"
    WISH_BEFORE_KEPT = "wish_before_kept"
    WISH_AFTER_KEPT = "wish_after_kept"
    WISH_BEFORE_MOVE = "wish_before_move"
    WISH_AFTER_MOVE = "wish_after_move"
    CLOSE_BETWEEN_ROWS = "close_between_rows"
    CLOSE_BEFORE_COMMIT = "close_before_commit"
    RUN_AFTER_CLAIM = "run_after_claim"
    RUN_BEFORE_RECORD = "run_before_record"
    RUN_AFTER_RECORD = "run_after_record"
    RUN_BEFORE_RELEASE = "run_before_release"
    SLICE_AFTER_CLAIM = "slice_after_claim"
    SLICE_AFTER_SUBMIT = "slice_after_submit"


class _Plan:
    """At which place this process dies, and how often it still passes it alive."""

    def __init__(self) -> None:
        self.point: Point | None = None
        self.left = 0

    def passed(self, point: Point) -> None:
        if point is not self.point:
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


_plan = _Plan()


def arm(point: Point, *, passage: int = 1) -> None:
    """Let this process die by SIGKILL when it passes the place for the n-th time from now on.

    :raises RuntimeError: this is no test
    :raises ValueError: the passage is out of range
    """
    if settings.ENVIRONMENT != "test":
        raise RuntimeError(f"ENVIRONMENT is {settings.ENVIRONMENT!r}: only a process of a test can be armed")
    if not 1 <= passage <= MOST_PASSAGES:
        raise ValueError(f"passage: {passage} is not allowed; a whole number from 1 to {MOST_PASSAGES} is")
    _plan.point, _plan.left = point, passage


def armed_by(text: str) -> tuple[Point, int]:
    """Read `name` or `name:n`.

    :raises ValueError: there is no such place, or n is no passage
    """
    name, _, number = text.partition(":")
    if name not in set(Point):
        raise ValueError(f"CRASH_AT: there is no place {name!r}; allowed: {', '.join(Point)}")
    if number and not (number.isascii() and number.isdecimal()):
        raise ValueError(f"CRASH_AT: the passage {number!r} is not allowed; a whole number from 1 is")
    return Point(name), int(number or 1)


def _nothing(point: Point) -> None:
    """Be there for nobody."""


def _bound() -> Callable[[Point], None]:
    if settings.ENVIRONMENT != "test":
        return _nothing
    if settings.CRASH_AT:
        point, passage = armed_by(settings.CRASH_AT)
        arm(point, passage=passage)
    return _plan.passed


crashpoint: Callable[[Point], None] = _bound()
