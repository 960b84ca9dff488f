"""Every task of the worker, killed in the middle and delivered again, twice, has the effect of one that was left alone.

Each dies at all the places that it passes, and at moments nobody chose. `make soak` tries each task fifty times.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from marketdata.clock import wall_now
from tests.faults.killing import Ended, Zygote
from tests.faults.proofs import Proof, RecordProperty, proving, trials
from tests.faults.storm import number_from
from tests.faults.task_cases import TASK_CASES, Ready, TaskCase, World, perform, world
from tests.trading.conftest import fill_market, sample_lake  # noqa: F401 - a fixture of the neighbours
from trading.services.bootstrap import prepare_installation
from trading.tasks import TASKS

pytestmark = pytest.mark.django_db(transaction=True)
FEW, FULL = 4, 50
AT_A_PLACE = 0.6
"""How many of the deaths happen at a named place, where there are some."""


@pytest.fixture
def here(sample_lake: Path, tmp_path: Path, settings: Any) -> Iterator[World]:  # noqa: F811
    settings.LAKE_DIR = sample_lake
    fill_market()
    prepare_installation(wall_now=wall_now())
    with world(sample_lake, tmp_path) as made:
        yield made


def test_every_task_is_killed() -> None:
    assert set(TASK_CASES) == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_was_killed_and_delivered_again_twice_has_one_effect(
    task: str, here: World, zygote: Zygote, record_property: RecordProperty
) -> None:
    seed = number_from("SOAK_SEED", 7, most=100_000)
    chance, case = Random(f"{seed} {task}"), TASK_CASES[task]
    left_alone(case.prepare(here), zygote)
    expected, seconds = left_alone(case.prepare(here), zygote)  # the first one may have waited for the disk
    with proving(task, record_property) as proof:
        proof.more = f"seed {seed}"
        while proof.n < trials(FEW, full=FULL):
            ready = case.prepare(here)
            ended = killed(case, ready, zygote, proof, chance, seconds)
            if ended.got_through:
                seconds *= 0.9  # it was faster than it had been: that was no death, and does not count
                continue
            assert ended.was_killed, ended
            deliver(ready.later(), zygote, times=2)
            proof.require(ready.effect() == expected, f"{ready.effect()} instead of {expected}")
            proof.n += 1


def left_alone(ready: Ready, zygote: Zygote) -> tuple[object, float]:
    """Return the effect of a task that nobody kills, and how long it took."""
    took = deliver(ready, zygote, times=1)
    effect = ready.effect()
    deliver(ready, zygote, times=2)
    assert ready.effect() == effect, "delivered again it does more"
    return effect, took


def killed(case: TaskCase, ready: Ready, zygote: Zygote, proof: Proof, chance: Random, seconds: float) -> Ended:
    """Kill a task at one place after the other, and in between at any moment."""
    if case.points and chance.random() < AT_A_PLACE:
        point, passages = list(case.points.items())[proof.n % len(case.points)]
        return zygote.kill(perform, ready.delivery, at=point, passage=chance.randint(1, passages))
    return zygote.kill_after(perform, ready.delivery, seconds=chance.uniform(0, seconds))


def deliver(ready: Ready, zygote: Zygote, *, times: int) -> float:
    """Deliver a task as the queue does, when the lease of who died is over; return the first one's seconds."""
    first = 0.0
    for _ in range(times):
        began = wall_now()
        ended = zygote.run(perform, ready.delivery)
        assert ended.got_through, ended
        first = first or (wall_now() - began).total_seconds()
    return first
