"""Places to be killed at: each is in the code once, where it is meant, and nothing of them is left in production."""

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from execution import crashpoints
from execution.crashpoints import Point, arm, armed_by
from tests.architecture.source import Source, sources
from tests.conftest import REPOSITORY

PLACES = {
    Point.GATE_BEFORE_WRITE: "execution/services/orders.py submit_orders",
    Point.GATE_BEFORE_COMMIT: "execution/services/orders.py submit_orders",
    Point.GATE_AFTER_COMMIT: "execution/services/orders.py submit_orders",
    Point.GROUP_BEFORE_COMMIT: "execution/services/groups.py submit_group",
    Point.REPLACE_BEFORE_WRITE: "execution/services/replaces.py _judge_and_store",
    Point.REPLACE_BEFORE_COMMIT: "execution/services/replaces.py request_replace",
    Point.REPLACE_AFTER_COMMIT: "execution/services/replaces.py request_replace",
    Point.CLAIM_BEFORE_COMMIT: "execution/services/claims.py claim_pending",
    Point.CLAIM_AFTER_COMMIT: "execution/services/dispatch.py dispatch_once",
    Point.SUBMIT_BEFORE_CALL: "execution/services/dispatch.py ask",
    Point.SUBMIT_AFTER_CALL: "execution/services/dispatch.py ask",
    Point.REPLACE_BEFORE_CALL: "execution/services/successors.py ask",
    Point.REPLACE_AFTER_CALL: "execution/services/successors.py ask",
    Point.ANSWERS_BEFORE_SAVE: "execution/services/answers.py record_answers",
    Point.ANSWERS_BEFORE_COMMIT: "execution/services/answers.py record_answers",
    Point.ANSWERS_AFTER_COMMIT: "execution/services/answers.py record_answers",
    Point.CANCEL_BEFORE_COMMIT: "execution/services/cancels.py request_cancel",
    Point.CANCEL_AFTER_COMMIT: "execution/services/cancels.py request_cancel",
    Point.CANCEL_BEFORE_CALL: "execution/services/cancel_sending.py _send_cancel",
    Point.CANCEL_AFTER_CALL: "execution/services/cancel_sending.py _send_cancel",
    Point.UPDATES_BEFORE_ENDS: "execution/services/updates.py take_updates",
    Point.CHECK_AFTER_EXECUTIONS: "execution/services/cross_check.py round",
    Point.INBOX_BEFORE_COMMIT: "execution/services/inbox.py _store",
    Point.INBOX_AFTER_COMMIT: "execution/services/inbox.py receive",
    Point.REPORTS_BEFORE_SAVE: "execution/services/reports.py book_reports",
    Point.REPORTS_BEFORE_CURSOR: "execution/services/reports.py book_reports",
    Point.REPORTS_BEFORE_COMMIT: "execution/services/reports.py book_reports",
    Point.REPORTS_AFTER_COMMIT: "execution/services/reports.py apply_reports",
    Point.RECOVERY_AFTER_REPORTS: "execution/services/recovery.py _recover",
    Point.RESOLVE_AFTER_ASKING: "execution/services/recovery.py _resolve_orders",
    Point.RESOLVE_BEFORE_COMMIT: "execution/services/recovery.py _resolve_orders",
    Point.RECOVERY_BEFORE_STATE: "execution/reconciliation/runs.py _verdict",
    Point.RECOVERY_AFTER_STATE: "execution/reconciliation/runs.py _verdict",
    Point.KILL_AFTER_ROW: "execution/services/halt.py engage_kill_switch",
    Point.KILL_BEFORE_COMMIT: "execution/services/cancels.py cancel_open_orders",
    Point.KILL_BETWEEN_ACCOUNTS: "execution/services/halt.py engage_kill_switch",
    Point.KILL_AFTER_CANCELS: "execution/services/halt.py engage_kill_switch",
    Point.HALT_AFTER_CANCELS: "execution/halting/procedure.py _act",
    Point.HALT_AFTER_LOOK: "execution/halting/procedure.py _act",
    Point.HALT_AFTER_ORDER: "execution/halting/closing.py _try",
    Point.HALT_AFTER_CLOSING: "execution/halting/procedure.py _after_closing",
    Point.HALT_BEFORE_END: "execution/halting/procedure.py _finish",
    Point.HALT_AFTER_END: "execution/halting/procedure.py _finish",
    Point.LOCK_AFTER_NOTE: "execution/services/second_lock.py _settle",
    Point.LOCK_AFTER_CALL: "execution/services/second_lock.py _settle",
    Point.WISH_BEFORE_KEPT: "execution/services/wishes.py keep_wish",
    Point.WISH_AFTER_KEPT: "execution/services/wishes.py keep_wish",
    Point.WISH_BEFORE_MOVE: "execution/services/wishes.py fulfil_wishes",
    Point.WISH_AFTER_MOVE: "execution/services/wishes.py fulfil_wishes",
    Point.CLOSE_BETWEEN_ROWS: "execution/services/sessions.py close_session",
    Point.CLOSE_BEFORE_COMMIT: "execution/services/sessions.py close_session",
    Point.SLICE_AFTER_CLAIM: "execution/services/slices/working.py work_parent",
    Point.SLICE_AFTER_SUBMIT: "execution/services/slices/sending.py send_slice",
    Point.RUN_AFTER_CLAIM: "trading/services/runs.py _work",
    Point.RUN_BEFORE_RECORD: "trading/services/runs.py _work",
    Point.RUN_AFTER_RECORD: "trading/services/runs.py _work",
    Point.RUN_BEFORE_RELEASE: "trading/services/runs.py _work",
}


def passages(source: Source) -> Iterator[tuple[Point, str]]:
    """Return each passage of the file with the function that it is in."""
    for function in source.nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "crashpoint":
                (named,) = node.args
                assert isinstance(named, ast.Attribute), f"{source.at(node)}: a place is a member of Point"
                yield Point[named.attr], f"{source.path} {function.name}"


def test_every_place_is_in_the_code_once_and_where_it_is_meant() -> None:
    found = sorted(passage for source in sources() for passage in passages(source))
    assert found == sorted(PLACES.items())


def test_every_place_is_imported_by_name() -> None:
    """A call through the module could be replaced later; the name is bound once."""
    wrong = [
        source.at(node)
        for source in sources()
        for node in source.nodes(ast.Attribute)
        if isinstance(node, ast.Attribute) and node.attr == "crashpoint"
    ]
    assert wrong == []


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run some code in a process with the settings of a given environment."""
    head = (
        "import os; from django.conf import settings;"
        "settings.configure(ENVIRONMENT=os.environ['ENVIRONMENT'], CRASH_AT=os.environ.get('CRASH_AT', ''));"
        "from execution.crashpoints import *; from execution import crashpoints;"
    )
    return subprocess.run(
        [sys.executable, "-c", head + code],
        env={"PATH": os.environ["PATH"]} | variables,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


PASS_TWICE = "p = Point.SUBMIT_AFTER_CALL; crashpoint(p); os.write(1, b'one '); crashpoint(p); os.write(1, b'two')"


def test_a_process_started_for_it_dies_by_sigkill_at_the_passage_that_was_named() -> None:
    for at, printed in (("submit_after_call", ""), ("submit_after_call:2", "one ")):
        ended = run(PASS_TWICE, ENVIRONMENT="test", CRASH_AT=at)
        assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, printed), ended.stderr
    ended = run(PASS_TWICE, ENVIRONMENT="test", CRASH_AT="gate_before_write")
    assert (ended.returncode, ended.stdout) == (0, "one two"), ended.stderr


@pytest.mark.parametrize("environment", ["dev", "staging", "production"])
def test_outside_of_tests_nothing_is_there(environment: str) -> None:
    code = f"{PASS_TWICE}; os.write(1, crashpoint.__name__.encode())"
    ended = run(code, ENVIRONMENT=environment, CRASH_AT="submit_after_call")
    assert (ended.returncode, ended.stdout) == (0, "one two_nothing"), ended.stderr
    ended = run("arm(Point.SUBMIT_AFTER_CALL)", ENVIRONMENT=environment)
    assert "only a process of a test can be armed" in ended.stderr


def test_the_settings_do_not_even_read_the_variable_outside_of_tests() -> None:
    code = "import trading.settings as s; print(repr(s.CRASH_AT))"
    for environment, read in (("dev", "''"), ("test", "'claim_after_commit'")):
        variables = {
            "ENVIRONMENT": environment,
            "CRASH_AT": "claim_after_commit",
            "PORTCULLIS_NO_SERVERS": "1",
            "VAR_DIR": os.environ["VAR_DIR"],
        }
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": os.environ["PATH"]} | variables,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.stdout.strip() == read, ended.stderr


def test_what_does_nothing_costs_nothing() -> None:
    def nothing(point: Point) -> None:
        """Be as empty as a function can be."""

    assert crashpoints._nothing.__code__.co_code == nothing.__code__.co_code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere", "there is no place 'nowhere'; allowed: gate_before_write, "),
        ("", "there is no place ''"),
        ("claim_after_commit:x", "passage 'x' is not allowed"),
        ("claim_after_commit:-1", "passage '-1' is not allowed"),
    ],
)
def test_a_place_that_does_not_exist_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        armed_by(text)
    if text:
        assert said in run("", ENVIRONMENT="test", CRASH_AT=text).stderr


@pytest.mark.parametrize("passage", [0, -1, crashpoints.MOST_PASSAGES + 1])
def test_a_passage_that_never_comes_is_refused(passage: int) -> None:
    with pytest.raises(ValueError, match=f"passage: {passage} is not allowed"):
        arm(Point.CLAIM_AFTER_COMMIT, passage=passage)
