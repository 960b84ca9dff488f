"""R16: somebody holds a lock, the pool is used up, a neighbour takes the machine: fail fast, and stop at once.

Requests end within five seconds, with 503 and Retry-After where they cannot be served; the kill switch is acknowledged
within one. A few seconds of each where every change is looked at; `make soak` holds the lock for 30 s, 20 times.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from tests.faults.outpost import PAUSE, Outpost, Reply, until
from tests.faults.proofs import Proof, RecordProperty, proving, trials

FAIL_FAST, STOPPED_WITHIN, BEHIND_OTHERS = 5.0, 1.0, 5.0
"""Seconds: any request; the kill switch at the console; the kill switch at the API, whose workers take turns."""
CROWD = 40
"""Requests at the same time: twice what the console's pool has connections."""
NEIGHBOURS = 4
LOCKS = {
    "account": "SELECT 1 FROM execution_account WHERE id = %s FOR UPDATE",
    "orders": "SELECT 1 FROM execution_order WHERE account_id = %s FOR UPDATE",
}


@contextmanager
def held(outpost: Outpost, lock: str) -> Iterator[None]:
    """Hold rows in another session until the end of the block."""
    with closing(outpost.connect()) as connection:
        connection.autocommit = False
        connection.execute(LOCKS[lock], [outpost.account_id])
        yield
        connection.rollback()


@contextmanager
def crowd(send: Callable[[int], Reply]) -> Iterator[list[Future[Reply]]]:
    """Let many ask at once; by the end of the block all have their answers."""
    with ThreadPoolExecutor(CROWD) as pool:
        yield [pool.submit(send, number) for number in range(CROWD)]


def require_fast_refusals(proof: Proof, asked: list[Future[Reply]]) -> None:
    """Note every answer that came late, or that is neither served nor a 503 which says when to come again."""
    for reply in (each.result() for each in asked):
        proof.took("request", reply.seconds, most=FAIL_FAST)
        proof.require(reply.status in {200, 201, 202, 503}, f"answer {reply.status}: {reply.body[:200]!r}")
        proof.require(reply.status != 503 or "Retry-After" in reply.headers, "a 503 without Retry-After")


def require_stop(proof: Proof, outpost: Outpost) -> None:
    """Press the kill switch at the console's process and at the API's; note what took too long."""
    for what, port, most in (
        ("stop at the console", outpost.port, STOPPED_WITHIN),
        ("stop at the API", outpost.port + 1, BEHIND_OTHERS),
    ):
        reply = outpost.engage(port=port)
        proof.require(reply.status == 200, f"{what}: {reply.status} {reply.body[:200]!r}")
        proof.took(what, reply.seconds, most=most)


def require_stopped(proof: Proof, outpost: Outpost, name: str) -> None:
    """Show that the switch stops orders, and let trading go on for the next trial."""
    refused: list[Reply] = []

    def is_answered() -> bool:
        """Ask again where a worker still expects the lock to be held, as a program does."""
        refused.append(outpost.order(f"{name}-after"))
        return b"DATABASE_UNAVAILABLE" not in refused[-1].body

    proof.took("answers again after", until(is_answered, say=outpost.tails), most=FAIL_FAST)
    said = refused[-1]
    proof.require(said.status == 503 and b"KILL_SWITCH" in said.body, f"not stopped: {said.status} {said.body!r}")
    outpost.release()
    until(outpost.may_trade, say=outpost.tails)


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("process", ["api", "web"])
def test_a_held_lock_fails_fast_and_stopping_does_not_wait(
    outpost: Outpost, lock: str, process: str, record_property: RecordProperty
) -> None:
    port = outpost.port + (process == "api")
    with proving(f"R16 {lock} locked, crowd at {process}", record_property) as proof:
        seconds = trials(3, full=30)
        for number in range(trials(1, full=20)):
            proof.n += 1
            name = f"held-{outpost.tag}-{number}"
            assert outpost.order(f"{name}-0").status == 201
            until(lambda name=name: f"{name}-0" in outpost.sent(), say=outpost.tails)

            def ask(client: int, name: str = name) -> Reply:
                path = "orders" if lock == "account" else "orders/cancel-all"
                body = (
                    outpost.order_body(f"{name}-{client}x")
                    if lock == "account"
                    else {"reason": "somebody holds the rows"}
                )
                return outpost.program("POST", f"/api/v1/{path}", body, Idempotency_Key=f"{name}-{client}x", port=port)

            with held(outpost, lock), crowd(ask) as asked:
                PAUSE.wait(0.5)
                require_stop(proof, outpost)
                page = outpost.page()
                proof.took("page", page.seconds, most=FAIL_FAST)
                proof.require(page.status in {200, 503}, f"page {page.status}")
                PAUSE.wait(seconds - 1)
                late = outpost.order(f"{name}-late")
                proof.took("request late in it", late.seconds, most=FAIL_FAST)
            require_fast_refusals(proof, asked)
            require_stopped(proof, outpost, name)


@contextmanager
def busy_neighbours() -> Iterator[None]:
    """Keep every core busy with somebody else's work until the end of the block."""
    work = [sys.executable, "-c", "while True: pass"]
    neighbours = [subprocess.Popen(work) for _ in range(NEIGHBOURS)]
    try:
        yield
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


def test_a_neighbour_that_takes_the_machine_slows_down_and_stops_nobody(
    outpost: Outpost, record_property: RecordProperty
) -> None:
    with proving(f"R16 {NEIGHBOURS} busy neighbours", record_property) as proof:
        for number in range(trials(1, full=20)):
            proof.n += 1
            name = f"busy-{outpost.tag}-{number}"
            with busy_neighbours():
                for client in range(20):
                    reply = outpost.order(f"{name}-{client}")
                    proof.require(reply.status == 201, f"answer {reply.status} {reply.body[:300]!r}")
                    proof.took("order", reply.seconds, most=FAIL_FAST)
                reply = outpost.engage()
                proof.require(reply.status == 200, f"stop: {reply.status}")
                proof.took("stop at the console", reply.seconds, most=STOPPED_WITHIN)
            require_stopped(proof, outpost, name)
