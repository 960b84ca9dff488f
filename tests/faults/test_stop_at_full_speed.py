"""R17 and R18: the kill switch while fifty orders a second flow, and from a shell with console and Redis away.

What left is read from the broker's log, by the wall's clock, against the instant at which whoever pressed had the
answer. A few times where every change is looked at; `make soak` for 200 and 20 times.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from marketdata.clock import wall_now
from tests.faults.outpost import PAUSE, Outpost, since, until
from tests.faults.proofs import Proof, RecordProperty, proving, trials
from tests.faults.traffic import Source, Traffic, baskets, traffic

LAST_LEAVES, CANCELS_ASKED, BROKER_LOCKED = 0.25, 1.0, 2.0
"""Seconds after the acknowledgement: the last order that may leave, the last cancel, the account's suspension."""
EFFECTIVE, COMMAND_DONE = 2.0, 10.0
"""Seconds: from the command's row, and from typing it, on a machine that does other things as well."""
CLIENTS, PER_SECOND, RESTING = 5, 50, 10
IS_SOAK = bool(os.environ.get("SOAK_N"))
FLOWING = 100 if IS_SOAK else 20
"""Orders that have reached the broker before the switch is pressed."""


def mostly_met(number: int) -> dict[str, Any]:
    """Every tenth order rests at the broker; the market meets the others at once."""
    return {} if number % RESTING == 0 else {"limit_price": "101.00"}


@contextmanager
def flowing(outpost: Outpost, name: str) -> Iterator[tuple[Traffic, Source]]:
    """Let orders come from programs; for `make soak` as many from a strategy, which does not wait for answers."""
    with traffic(outpost, f"flow-{name}", clients=CLIENTS, per_second=PER_SECOND, fields=mostly_met) as seen:
        if IS_SOAK:
            with baskets(outpost, f"run-{name}", per_second=PER_SECOND) as source:
                yield seen, source
        else:
            until(lambda: len(seen.acknowledged()) >= PER_SECOND, say=outpost.tails)
            yield seen, Source()


def after(outpost: Outpost, kind: str, instant: datetime) -> list[float]:
    """Return when entries of a kind came to the broker's log, seconds after an instant."""
    return [(wall - instant).total_seconds() for wall, _entry in outpost.log.stamped(kind) if wall > instant]


def flowed(outpost: Outpost, before: datetime) -> float:
    """Return how many orders a second came to the broker until an instant, from the first of the last second on."""
    walls = [wall for wall, _entry in outpost.log.stamped("submitted") if 0 < (before - wall).total_seconds() <= 1]
    return len(walls) / max((before - min(walls)).total_seconds(), 0.1) if walls else 0


def require_stopped(outpost: Outpost, proof: Proof, acknowledged: datetime) -> None:
    """Note what left after the acknowledgement, and how long cancels and the broker's own lock took."""
    working = "SELECT count(*) FROM execution_order WHERE status IN ('accepted', 'partially_filled', 'pending_cancel')"
    until(lambda: outpost.sql(working) == [(0,)], say=outpost.tails)
    until(lambda: is_suspended(outpost), say=outpost.tails)
    proof.took("last order left after", max(after(outpost, "submitted", acknowledged), default=0), most=LAST_LEAVES)
    proof.took(
        "last cancel asked after", max(after(outpost, "pending_cancel", acknowledged), default=0), most=CANCELS_ASKED
    )
    proof.took("suspended at the broker after", suspended_after(outpost, acknowledged), most=BROKER_LOCKED)


def is_suspended(outpost: Outpost) -> bool:
    """Tell what the broker's own switch says, from its log."""
    said = [entry.data["value"] for entry in outpost.log.entries(kind="configured") if is_lock(entry.data)]
    return bool(said and said[-1])


def is_lock(data: Any) -> bool:
    return bool(data["name"] == "suspend_trade")


def suspended_after(outpost: Outpost, instant: datetime) -> float:
    """Return when the account was suspended last, seconds after an instant; 0 when it was before."""
    at = max(wall for wall, entry in outpost.log.stamped("configured") if is_lock(entry.data) and entry.data["value"])
    return max((at - instant).total_seconds(), 0)


def let_go(outpost: Outpost) -> None:
    """Release, and wait until the broker takes orders again."""
    outpost.release()
    until(lambda: not is_suspended(outpost) and outpost.may_trade(), say=outpost.tails)


def test_nothing_that_adds_risk_leaves_after_the_acknowledgement(
    outpost: Outpost, record_property: RecordProperty
) -> None:
    with proving(f"R17 kill switch at {PER_SECOND} orders a second", record_property) as proof:
        sent, speeds = 0, []
        for number in range(trials(3, full=200)):
            proof.n += 1
            before = len(outpost.sent())
            name = f"{outpost.tag}-{number}"
            with flowing(outpost, name) as (seen, source):
                until(lambda before=before: len(outpost.sent()) >= before + FLOWING, say=outpost.tails)
                speed = flowed(outpost, wall_now())
                pressed = outpost.engage()
                acknowledged = wall_now()
                PAUSE.wait(0.5)
            proof.require(pressed.status == 200, f"engage: {pressed.status} {pressed.body[:200]!r}")
            proof.took("acknowledged after", pressed.seconds, most=1)
            require_stopped(outpost, proof, acknowledged)
            [(row_at,)] = outpost.sql("SELECT at FROM risk_killswitchevent ORDER BY id DESC LIMIT 1")
            from_row = max(after(outpost, "submitted", row_at), default=0)
            proof.measured.setdefault("and after the pressing", []).append(from_row)
            late = [told.name for told in seen.answers if told.reply.status == 201 and told.at > acknowledged]
            late += sorted(source.later_than(acknowledged))
            sent += len(outpost.sent()) - before
            speeds.append(speed)
            # An answer that came after the acknowledgement may be of an order that was taken before it; none is sent.
            stored = outpost.sql("SELECT client_order_id FROM execution_order WHERE status = 'pending'")
            proof.require(not stored, f"still waiting to be sent: {stored}")
            left = set(late) & {
                e.data["client_order_id"] for w, e in outpost.log.stamped("submitted") if w > acknowledged
            }
            proof.require(not left, f"taken and sent after the acknowledgement: {left}")
            let_go(outpost)
            until(outpost.is_settled, say=outpost.tails)
        proof.more = f"{sent} orders sent, {min(speeds):.0f} to {max(speeds):.0f} a second when it was pressed"


def test_the_command_stops_trading_without_console_and_redis(outpost: Outpost, record_property: RecordProperty) -> None:
    with proving("R18 kill by command, console and Redis down", record_property) as proof:
        outpost.stop("web")
        outpost.stop("api")
        outpost.stop_redis()
        for number in range(trials(2, full=20)):
            proof.n += 1
            typed = wall_now()
            done = outpost.command("kill_switch", "engage", "--reason", f"proof number {number} of it")
            took = since(typed)
            proof.require(done.returncode == 0, f"exit code {done.returncode}: {done.stderr}")
            [(row_at, written)] = outpost.sql(
                "SELECT at, clock_timestamp() FROM risk_killswitchevent ORDER BY id DESC LIMIT 1"
            )
            assert row_at <= written
            until(lambda: is_suspended(outpost), say=outpost.tails)
            proof.took("suspended at the broker after its row", suspended_after(outpost, row_at), most=EFFECTIVE)
            proof.took("suspended at the broker after typing", suspended_after(outpost, typed), most=COMMAND_DONE)
            proof.took("row after typing", (row_at - typed).total_seconds(), most=COMMAND_DONE)
            proof.took("command", took, most=COMMAND_DONE)
            let_go_quietly(outpost)


def let_go_quietly(outpost: Outpost) -> None:
    """Release while the console is away."""
    outpost.release()
    until(lambda: not is_suspended(outpost), say=outpost.tails)
