"""R1: the same Idempotency-Key from a hundred clients at once over real sockets is one order at the broker.

Two rounds where every change is looked at, 200 by `make soak`. The rounds' orders differ, so each is counted by itself.
"""

from collections import Counter
from datetime import timedelta

from tests.faults.outpost import Outpost, until
from tests.faults.proofs import RecordProperty, proving, trials
from tests.faults.shots import orders_at_once

CLIENTS = 100


def test_one_order_and_ninety_nine_replays(outpost: Outpost, record_property: RecordProperty) -> None:
    with proving("R1 same key, 100 sockets", record_property) as proof:
        for number in range(trials(2, full=200)):
            proof.n += 1
            name = f"same-{outpost.tag}-{number}"
            body = outpost.order_body(name)
            replies = orders_at_once(outpost, [body] * CLIENTS, key=name)
            counted = Counter(reply.status for reply in replies)
            proof.require(counted == {201: 1, 200: CLIENTS - 1}, f"answers {dict(counted)}")
            proof.measured.setdefault("answer", []).extend(reply.seconds for reply in replies)
            until(lambda name=name: name in outpost.sent(), within=timedelta(seconds=30))
            stored = outpost.sql("SELECT count(*) FROM execution_order WHERE idempotency_key = %s", name)
            proof.require(stored == [(1,)], f"rows {stored}")
        until(outpost.is_settled, say=outpost.tails)
        taken = Counter(outpost.sent())
        doubled = {name: times for name, times in taken.items() if times > 1}
        proof.require(not doubled, f"at the broker more than once: {doubled}")
