"""Whole trading days under random faults and crashes: whatever the seed, in the end the checker finds nothing.

`SIM_SEED=123 pytest tests/simulator/test_simulator.py -s` plays one seed and tells all that is done; SOAK_N and
SOAK_SEED say how many seeds, and from which on.
"""

import asyncio
import os
import sys
from collections import Counter

import pytest

from tests.faults.proofs import RecordProperty, proving
from tests.faults.storm import number_from
from tests.simulator.simulation import Broken, Simulation

pytestmark = pytest.mark.django_db(transaction=True)
MOST = 1_000_000
CHUNK = 50
FIRST = number_from("SOAK_SEED", 1, most=MOST)
COUNT = number_from("SOAK_N", 1_000, most=MOST)
ONLY = os.environ.get("SIM_SEED", "")
FAILED_ONCE = [
    2033,  # the checker took a fill that the reconciliation had inferred for one that never happened
    19,  # a comparison took the legs of a bracket whose answer was lost for somebody else's orders
    806,  # the reports of a stranger's order were refused because the broker, having told them, did not know it yet
    1013,  # as before, where the broker answered the question with an error
    827,  # the checker knew no leg that the broker makes smaller when the other one has filled in part
    946,  # the checker wanted a stranger's order stopped by our switch
]
"""Seeds that have failed and what was mended: they are played for ever."""


TOLD = {
    "log submitted": "orders at the broker",
    "log fill": "fills",
    "log fault": "faults",
    "crashes": "crashes",
    "stop": "kill switches",
}


def chunks() -> list[range]:
    if ONLY:
        return []
    return [range(start, min(start + CHUNK, FIRST + COUNT)) for start in range(FIRST, FIRST + COUNT, CHUNK)]


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


@pytest.mark.parametrize("seeds", chunks(), ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_whatever_happens_the_checker_finds_nothing(
    loop: asyncio.AbstractEventLoop, seeds: range, record_property: RecordProperty
) -> None:
    sums: Counter[str] = Counter()
    with proving(f"seeds {seeds.start} to {seeds.stop - 1}", record_property) as proof:
        for proof.n, seed in enumerate(seeds, 1):
            simulation = Simulation(seed, loop)
            try:
                simulation.run()
            except Broken as broken:
                proof.failures.append(str(broken))
            sums += simulation.told_by_name()
        proof.more = ", ".join(f"{sums[name]} {told}" for name, told in TOLD.items())


@pytest.mark.skipif(not ONLY, reason="SIM_SEED names no seed")
def test_one_seed_with_all_that_is_done(loop: asyncio.AbstractEventLoop) -> None:
    Simulation(number_from("SIM_SEED", 1, most=MOST), loop, tell=tell).run(int(os.environ.get("SIM_STEPS", "") or 0))


@pytest.mark.parametrize("seed", FAILED_ONCE)
def test_seeds_that_failed_once_fail_no_more(loop: asyncio.AbstractEventLoop, seed: int) -> None:
    Simulation(seed, loop).run()
