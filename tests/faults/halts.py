"""A halt at an emulator, moved on as the dispatcher does it."""

from datetime import timedelta
from typing import Any

from execution.brokers.base import OrderRequest
from execution.halting.procedure import advance, begin, ensure_procedures
from execution.models import HaltProcedure, HaltResidue, Order
from execution.services.halt import engage_kill_switch
from execution.services.reports import apply_reports
from execution.services.second_lock import keep_second_lock
from execution.services.sweep import sweep
from execution.types import HaltReport, HaltWish
from marketdata.models import Feed
from tests.factories import MARKET_AT, D, make_order, make_quote, make_strategy
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


def theirs(line: Line) -> list[str]:
    return sorted(order.client_order_id for order in line.broker.open_orders())


def held_there(line: Line) -> dict[str, object]:
    return {position.symbol: position.quantity for position in line.broker.positions()}


def left() -> dict[str, str]:
    return dict(HaltResidue.objects.filter(gone_at__isnull=True).values_list("name", "why"))


def stranger(line: Line) -> None:
    """Let another program of the account rest an order."""
    line.broker.submit(
        OrderRequest(
            client_order_id="not-ours",
            symbol="AAPL",
            side="buy",
            quantity=D(3),
            order_type="limit",
            time_in_force="day",
            limit_price=D(99),
        ),
        at=MARKET_AT,
    )


def night(line: Line) -> None:
    """Let it be eight in the evening."""
    at = MARKET_AT.replace(day=15, hour=0)
    Feed.objects.filter(pk=line.account.feed_id).update(market_at=at)
    line.account.feed.refresh_from_db()
    make_quote(line.account.feed, at=at)
    now = line.emulator.call(lambda: line.emulator.surface.clock.now())
    line.emulator.advance(D(int((at - now).total_seconds())))
