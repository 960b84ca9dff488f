"""R6 and R7: PostgreSQL crashes under load, or ends every connection; nothing acknowledged is lost, all come back.

The server has `fsync` on and is stopped without a checkpoint, so what it promised must be in its journal. Once where
every change is looked at; `make soak` for 50 and 100 times.
"""

from collections import Counter
from datetime import datetime, timedelta

from marketdata.clock import wall_now
from tests.faults.outpost import PAUSE, Outpost, until
from tests.faults.proofs import Proof, RecordProperty, proving, trials
from tests.faults.traffic import Traffic, traffic

ERRORS_END = 10
"""Seconds after PostgreSQL is back within which the last request may fail."""
SETTLED = timedelta(seconds=40)
"""An order that was claimed and whose submit nobody saw is asked for until the broker's grace is over: 16 s here."""
API_CONNECTIONS = 2
"""One of each worker of the API's process."""
UNDER_WAY = timedelta(milliseconds=500)
"""What was claimed before the crash may still be on its way to the broker."""


def everything_is_there(outpost: Outpost, seen: Traffic, proof: Proof, name: str) -> None:
    """Every order that somebody was promised is stored, and at the broker once, and the books agree."""
    until(outpost.is_settled, say=outpost.tails, within=SETTLED)
    rows = outpost.sql("SELECT client_order_id, status FROM execution_order WHERE client_order_id LIKE %s", f"{name}-%")
    stored = dict(rows)
    lost = [order for order in seen.acknowledged() if order not in stored]
    proof.require(not lost, f"acknowledged and not stored: {lost}")
    taken = Counter(order for order in outpost.sent() if order.startswith(f"{name}-"))
    doubled = [order for order, times in taken.items() if times > 1]
    proof.require(not doubled, f"sent twice: {doubled}")
    missing = [order for order, status in stored.items() if status != "denied" and order not in taken]
    proof.require(not missing, f"stored and never sent: {missing}")
    strangers = [order for order in taken if order not in stored]
    proof.require(not strangers, f"sent and not stored: {strangers}")


def test_an_immediate_restart_loses_no_acknowledged_order(outpost: Outpost, record_property: RecordProperty) -> None:
    with proving("R6 PostgreSQL immediate restart under load", record_property) as proof:
        before = {name: process.pid for name, process in outpost.running.items()}
        acknowledged = failed = 0
        for number in range(trials(1, full=50)):
            proof.n += 1
            name = f"crash-{outpost.tag}-{number}"
            with traffic(outpost, name) as seen:
                until(lambda seen=seen: len(seen.acknowledged()) >= 20)
                down = wall_now()
                outpost.stop_postgres_at_once()
                PAUSE.wait(1 + number % 3)
                outpost.start_postgres()
                up, promised = wall_now(), len(seen.acknowledged())
                until(lambda seen=seen, promised=promised: len(seen.acknowledged()) >= promised + 30)
            last = max((told.at for told in seen.failed()), default=up)
            proof.took("errors ended after", max((last - up).total_seconds(), 0), most=ERRORS_END)
            proof.require(set(seen.statuses()) <= {0, 201, 409, 503}, f"answers {seen.statuses()}")
            _nothing_left(outpost, down, up, proof)
            began = wall_now()
            everything_is_there(outpost, seen, proof, name)
            until(outpost.may_trade, say=outpost.tails)
            proof.measured.setdefault("settled after", []).append((wall_now() - began).total_seconds())
            acknowledged, failed = acknowledged + len(seen.acknowledged()), failed + len(seen.failed())
        proof.more = f"{acknowledged} acknowledged, {failed} answered with 503 or not at all"
        assert {name: process.pid for name, process in outpost.running.items()} == before


def _nothing_left(outpost: Outpost, down: datetime, up: datetime, proof: Proof) -> None:
    """Say that nothing new reached the broker while there was no database."""
    left = [
        entry.data["client_order_id"]
        for wall, entry in outpost.log.stamped("submitted")
        if down + UNDER_WAY < wall < up
    ]
    proof.require(not left, f"sent while the database was away: {left}")


def test_ended_connections_cost_one_failed_request_each_at_most(
    outpost: Outpost, record_property: RecordProperty
) -> None:
    with proving("R7 every backend terminated", record_property) as proof:
        outpost.order(f"warm-{outpost.tag}")
        failed = 0
        for number in range(trials(3, full=100)):
            proof.n += 1
            name = f"ended-{outpost.tag}-{number}"
            with traffic(outpost, name) as seen:
                until(lambda seen=seen: len(seen.acknowledged()) >= 10)
                [(ended,)] = outpost.sql(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
                promised = len(seen.acknowledged())
                until(lambda seen=seen, promised=promised: len(seen.acknowledged()) >= promised + 20)
            proof.require(ended > API_CONNECTIONS, f"only {ended} connections were there to be ended")
            proof.require(len(seen.failed()) <= API_CONNECTIONS, f"{len(seen.failed())} requests failed")
            proof.require(set(seen.statuses()) <= {0, 201, 409, 503}, f"answers {seen.statuses()}")
            everything_is_there(outpost, seen, proof, name)
            until(outpost.may_trade, say=outpost.tails)
            failed += len(seen.failed())
        proof.more = f"{failed} requests failed"
