"""A halt at an emulator, moved on as the dispatcher does it."""

from datetime import timedelta
from typing import Any

from execution.halting.procedure import advance, begin, ensure_procedures
from execution.models import HaltProcedure, Order
from execution.services.halt import engage_kill_switch
from execution.services.reports import apply_reports
from execution.services.second_lock import keep_second_lock
from execution.services.sweep import sweep
from execution.types import HaltReport, HaltWish
from tests.factories import D, make_order, make_strategy
from tests.faults.line import Line, named

REASON = "a test of the whole switch"
ENDS = ("verified", "accepted", "superseded")


def engage(line: Line, scope: str = "global", level: str = "halted", **fields: Any) -> HaltReport:
    report = engage_kill_switch(
        scope=scope, operator="ann", reason=REASON, source="console", wall_now=line.wall, level=level
    )
    if fields:
        wish = HaltWish(scope=scope, level=level, event_id=report.event_id, operator="ann", reason=REASON, **fields)
        begin(account=line.account, wish=wish, wall_now=line.wall)
    return report


def moved(line: Line, rounds: int = 1, *, with_sweep: bool = False) -> HaltProcedure:
    """Do what a round of the dispatcher does, three seconds after the last."""
    for _ in range(rounds):
        line.wall += timedelta(seconds=3)
        line.ticker.pass_seconds(61)
        line.dispatch()
        keep_second_lock(account=line.account, broker=line.broker, wall_now=line.wall)
        apply_reports(account=line.account, broker=line.broker, wall_now=line.wall)
        ensure_procedures(account=line.account, wall_now=line.wall)
        advance(account=line.account, broker=line.broker, wall_now=line.wall)
        if with_sweep:
            sweep(account=line.account, broker=line.broker, wall_now=line.wall)
        line.dispatch()
        apply_reports(account=line.account, broker=line.broker, wall_now=line.wall)
    return HaltProcedure.objects.latest("pk")


def until_over(line: Line, most: int = 15) -> HaltProcedure:
    """Move on until the halt is over, or has left something."""
    for _ in range(most):
        procedure = moved(line)
        if procedure.state in (*ENDS, "residue"):
            return procedure
    return procedure


def resting(line: Line, name: str = "rests", **fields: Any) -> Order:
    make_strategy(fields.get("strategy", "manual"))
    make_order(line.account, **{"client_order_id": name, "order_type": "limit", "limit_price": D(99)} | fields)
    line.dispatch()
    line.round()
    return named(name)


def holding(line: Line, name: str = "hold", **fields: Any) -> Order:
    make_strategy(fields.get("strategy", "manual"))
    make_order(line.account, **{"client_order_id": name} | fields)
    line.round()
    assert named(name).status == "filled"
    return named(name)


def closings() -> list[Order]:
    return list(Order.objects.filter(origin="flatten").order_by("pk"))
