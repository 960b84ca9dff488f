"""A flatten that is killed on its way to the proof: what a child does of it, and what must hold wherever it died."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from execution.brokers.alpaca import AlpacaBroker
from execution.halting.procedure import advance, ensure_procedures
from execution.models import Account, HaltProcedure, Position
from execution.models.halting import RUNNING
from execution.services.cross_check import CrossCheck
from execution.services.dispatch import dispatch_once
from execution.services.halt import engage_kill_switch
from execution.services.reports import apply_reports
from execution.services.second_lock import keep_second_lock
from risk.models import GLOBAL_SCOPE, Alert
from risk.services import kill_switch
from risk.states import SwitchLevel
from tests.faults.killed_desk import KilledDesk, Place


def something_to_close(desk: KilledDesk) -> tuple[Any, ...]:
    """Hold shares, have an order at the broker, and press."""
    desk.wanted([desk.wish("hold", order_type="market", limit_price=None)])
    desk.resting(1)
    desk.cross_check.round(wall_now=desk.wall, long=True)
    apply_reports(account=desk.fresh(), broker=desk.broker, wall_now=desk.wall)
    assert Position.objects.filter(account=desk.account, quantity__gt=0).exists()
    engage_kill_switch(
        scope=GLOBAL_SCOPE,
        operator="ann",
        reason=f"trial {desk.trial} of many",
        source="command",
        wall_now=desk.wall,
        level=SwitchLevel.FLATTENING,
    )
    return (len(desk.emulator.log),)


def move_halt(place: Place, _logged: int) -> None:
    """Do what the dispatcher and the line do until the halt is over."""
    broker, check, wall = place.broker(), place.check(), place.wall
    for _ in range(12):
        wall += timedelta(seconds=3)
        halt_round(place.account(), broker, check, wall)


def halt_round(account: Account, broker: AlpacaBroker, check: CrossCheck, wall: datetime) -> None:
    keep_second_lock(account=account, broker=broker, wall_now=wall)
    dispatch_once(account=account, broker=broker, wall_now=wall)
    check.round(wall_now=wall, long=True)
    apply_reports(account=account, broker=broker, wall_now=wall)
    ensure_procedures(account=account, wall_now=wall)
    advance(account=account, broker=broker, wall_now=wall)


def is_proved_flat(desk: KilledDesk, logged: int) -> None:
    """Wherever it died: one closing order, nothing held on either side, no alert left, and trading goes on."""
    for _ in range(20):
        if not HaltProcedure.objects.filter(state__in=RUNNING).exists():
            break
        desk.wall += timedelta(seconds=5)
        desk.ticker.pass_seconds(61)
        halt_round(desk.fresh(), desk.broker, desk.cross_check, desk.wall)
    assert HaltProcedure.objects.latest("pk").state == "verified"
    assert not Position.objects.filter(account=desk.account).exclude(quantity=0).exists()
    assert [each for each in desk.broker.positions() if each.quantity] == []
    assert len(desk.emulator.log.entries(after=logged, kind="submitted")) == 1
    assert not Alert.objects.filter(code="halt_residue").exclude(state="resolved").exists()
    release(desk)
    desk.ticker.pass_seconds(61)
    keep_second_lock(account=desk.fresh(), broker=desk.broker, wall_now=desk.wall)


def release(desk: KilledDesk) -> None:
    """Let trading go on; at most one release a minute."""
    desk.wall += timedelta(minutes=2)
    kill_switch.disengage(
        scope=GLOBAL_SCOPE,
        operator="ann",
        second_operator="bob",
        reason="the next trial",
        source="command",
        now=desk.wall,
    )
