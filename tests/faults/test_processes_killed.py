"""`kill -9` of the platform's processes under orders: each comes back by itself, and no order is lost or doubled.

Every role is killed once where every change is looked at, three at a time, in an order that a seed chooses; `make soak`
goes on with random ones. Afterwards the doctor finds nothing, and the log of the broker holds each acknowledged order
once.
"""

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from django.conf import settings

from marketdata.clock import wall_now
from tests.faults.outpost import until
from tests.faults.proofs import Proof, RecordProperty, proving, trials
from tests.faults.storm import number_from
from tests.faults.whole_desk import Load, WholeDesk, whole_desk
from trading.processes import PROCESSES

CHILD = "worker's child"
ROLES = (*(process.name for process in PROCESSES), CHILD)
FULL = 500
AT_ONCE = 3
"""How many die together."""
BACK_WITHIN = timedelta(seconds=120)
FOR_A_MOMENT = {"RECONCILIATION_PENDING", "PRICE_STALE"}
"""What the gate says while the dispatcher compares books after its start, or prices are away with the stream."""
BOOKS = {"book", "invariants"}
"""What the doctor looks at that no death may harm."""
ORDERS_GO_ON = 4
"""Orders that have to be acknowledged between two deaths."""


def test_killed_processes_come_back_and_every_order_is_there_once(
    worker_id: str, record_property: RecordProperty
) -> None:
    seed = number_from("SOAK_SEED", 7, most=100_000)
    chance = Random(seed)
    root = Path(settings.VAR_DIR) / f"whole-desk-{worker_id}"
    with whole_desk(root) as desk, proving("processes", record_property) as proof, Load(desk) as load:
        for names in deaths(chance, trials(len(ROLES), full=FULL)):
            kill_and_wait(desk, load, names, chance, proof)
        said = f"{len(load.acknowledged)} orders, {len(load.denied)} denied, {load.asked_again} asked again"
        proof.more = f"seed {seed}, {said}"
        load.stop()
        until(desk.is_settled, say=desk.tails)
        assert_whole(desk, load)


def deaths(chance: Random, count: int) -> list[list[str]]:
    """Return who dies together: everybody once, in any order, then anybody."""
    names = chance.sample(ROLES, len(ROLES))
    while len(names) < count:
        names += chance.sample(ROLES, AT_ONCE)
    return [names[start : start + AT_ONCE] for start in range(0, count, AT_ONCE)]


def kill_and_wait(desk: WholeDesk, load: Load, names: list[str], chance: Random, proof: Proof) -> None:
    """Kill some, and wait until all of them work again and orders go on."""
    acknowledged, began = len(load.acknowledged), wall_now()
    killed = {}
    for name in sorted(names, key=ROLES.index, reverse=True):  # the child before the worker that has it
        killed[name] = desk.kill_within("worker", chance.randrange(100)) if name == CHILD else desk.kill(name)
    for name, pid in killed.items():
        until(lambda name=name, pid=pid: works(desk, name, pid, began), say=desk.tails, within=BACK_WITHIN * 2)
        proof.n += 1
        proof.took(name, (wall_now() - began).total_seconds(), most=BACK_WITHIN.total_seconds())
    until(lambda: len(load.acknowledged) >= acknowledged + ORDERS_GO_ON, say=lambda: [load.refused, desk.tails()])


def works(desk: WholeDesk, name: str, killed: int, at: datetime) -> bool:
    """Tell whether another process does what the killed one was there for."""
    if name == CHILD:
        return desk.has_beaten_since("worker", at + timedelta(seconds=1))
    if not desk.is_back(name, killed):
        return False
    if name in ("web", "api"):
        return desk.ask("GET", "/health/live", port=desk.port + (name == "api")).status == 200
    return desk.has_beaten_since(name, at)


def assert_whole(desk: WholeDesk, load: Load) -> None:
    """Look at both books."""
    assert load.refused == []
    assert set().union(*load.denied.values()) <= FOR_A_MOMENT, load.denied
    taken = Counter(desk.sent())
    assert [name for name, times in taken.items() if times > 1] == []
    assert sorted(set(load.acknowledged) ^ set(taken)) == []
    found = json.loads(desk.command("doctor", "--json").stdout)
    sums = {one["name"]: one["found"] for one in found if one["name"] in BOOKS and not one["well"]}
    assert sums == {}
    assert {one["name"] for one in found} >= BOOKS
