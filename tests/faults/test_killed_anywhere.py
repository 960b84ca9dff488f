"""`kill -9` at every named place on the way of an order: the next start finds everything, once, within seconds.

Ten deaths at each place where every change is looked at, fifty by `make soak`; a death counts when the process
really died by SIGKILL at the place. Afterwards whoever asked asks again, the desk starts as it always does, and when
nothing moves any more the checker compares the book with itself and with the broker's own log.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from execution.crashpoints import Point
from tests.execution.cases import assert_books_balance
from tests.faults.kill_cases import CASES, Arguments, Case
from tests.faults.killed_desk import TIDY_EVERY, KilledDesk, killed_desk
from tests.faults.killing import Zygote
from tests.faults.proofs import Proof, RecordProperty, proving, trials
from tests.faults.storm import number_from
from tests.faults.task_cases import TASK_CASES

pytestmark = pytest.mark.django_db(transaction=True)
FULL = 50
RECOVERED_WITHIN_SECONDS = 15
COMES_TO_REST = 0.25
"""How often the desk comes to rest after a death; otherwise the next process dies before all is settled."""


def test_every_place_is_killed_at() -> None:
    of_tasks = {point for case in TASK_CASES.values() for point in case.points}
    assert {*CASES, *of_tasks} == set(Point)
    assert len(CASES) >= 20


@pytest.mark.parametrize("point", CASES)
def test_a_process_killed_here_loses_nothing_and_doubles_nothing(
    point: Point, zygote: Zygote, tmp_path: Path, record_property: RecordProperty
) -> None:
    seed = number_from("SOAK_SEED", 7, most=100_000)
    with killed_desk(var_dir=tmp_path, seed=f"{seed} {point}") as desk, proving(point, record_property) as proof:
        proof.more = f"seed {seed}"
        case = CASES[point]
        count = trials(case.few, full=FULL)
        unseen: list[Arguments] = []
        while proof.n < count:
            desk.trial = proof.n
            unseen.append(die_and_start_again(desk, zygote, point, case, proof))
            proof.n += 1
            if case.alone or proof.n == count or desk.chance.random() < COMES_TO_REST:
                come_to_rest(desk, case, unseen)
                unseen = []
        assert_books_balance(desk.fresh())


def die_and_start_again(desk: KilledDesk, zygote: Zygote, point: Point, case: Case, proof: Proof) -> Arguments:
    arguments = case.prepare(desk)
    passage = desk.chance.randint(1, case.passages)
    ended = zygote.kill(case.work, desk.place(), *arguments, at=point, passage=passage)
    assert ended.was_killed, f"trial {proof.n}, passage {passage}: no death, {ended}"
    proof.took("recovered", desk.restart(), most=RECOVERED_WITHIN_SECONDS)
    case.again(desk, *arguments)
    return arguments


def come_to_rest(desk: KilledDesk, case: Case, deaths: Sequence[Arguments]) -> None:
    """Let everything settle after one or several deaths, and look at all of it."""
    desk.settle()
    for arguments in deaths:
        case.holds(desk, *arguments)
    desk.assert_whole()
    if desk.trial % TIDY_EVERY == 0:
        desk.tidy()


def test_control_a_process_that_never_comes_by_lives(zygote: Zygote, tmp_path: Path) -> None:
    with killed_desk(var_dir=tmp_path, seed="7") as desk:
        case = CASES[Point.SUBMIT_AFTER_CALL]
        ended = zygote.kill(case.work, desk.place(), *case.prepare(desk), at=Point.CLOSE_BEFORE_COMMIT)
        assert ended.got_through, ended
        assert not ended.was_killed


def test_control_a_process_that_fails_says_why(zygote: Zygote) -> None:
    ended = zygote.kill(int, "no number", at=Point.CLOSE_BEFORE_COMMIT)
    assert not ended.was_killed
    assert not ended.got_through
    assert "invalid literal for int()" in str(ended)


def test_control_without_a_recovery_an_order_is_lost(zygote: Zygote, tmp_path: Path) -> None:
    with killed_desk(var_dir=tmp_path, seed="7") as desk:
        case = CASES[Point.SUBMIT_BEFORE_CALL]
        arguments = case.prepare(desk)
        assert zygote.kill(case.work, desk.place(), *arguments, at=Point.SUBMIT_BEFORE_CALL).was_killed
        desk.send()
        assert desk.taken(arguments[0][0].client_order_id) == 0
        assert desk.waiting() == [f"{arguments[0][0].client_order_id} submitted"]
