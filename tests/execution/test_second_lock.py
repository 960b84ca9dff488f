"""While the kill switch is engaged the broker takes no orders of the account, whoever sends them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from execution.brokers.base import BrokerAccount, BrokerUnavailable
from execution.models import Account, BrokerLink
from execution.services.second_lock import keep_second_lock
from risk.services import kill_switch
from tests.execution.fake_broker import FakeBroker
from tests.factories import WALL_NOW, D, make_account

pytestmark = pytest.mark.django_db
REASON = "a test of the second lock"


@dataclass
class Lockable(FakeBroker):
    fails: bool = False
    asked: int = 0
    calls: list[bool] = field(default_factory=list)

    def account(self) -> BrokerAccount:
        self.asked += 1
        if self.fails:
            raise BrokerUnavailable("the line is down", code="unreachable")
        return BrokerAccount(account_number="PA1", cash=D(1), suspended=self.suspended)

    def suspend(self, suspended: bool) -> None:
        self.calls.append(suspended)
        if self.fails:
            raise BrokerUnavailable("the line is down", code="unreachable")
        self.suspended = suspended


@dataclass
class Desk:
    account: Account
    broker: Lockable = field(default_factory=Lockable)
    now: datetime = WALL_NOW

    def keep(self, *, after: int = 0) -> BrokerLink:
        self.now += timedelta(seconds=after)
        keep_second_lock(account=self.account, broker=self.broker, wall_now=self.now)
        return BrokerLink.objects.get(account=self.account)

    def engage(self, scope: str = "global") -> None:
        kill_switch.engage(scope=scope, operator="ann", reason=REASON, source="console", now=self.now)

    def release(self, scope: str = "global") -> None:
        kill_switch.KillSwitchEvent.objects.create(
            scope=scope,
            engaged=False,
            operator="ann",
            second_operator="bob",
            reason=REASON,
            source="console",
            at=self.now,
        )


@pytest.fixture
def desk() -> Desk:
    desk = Desk(make_account(mode="alpaca_paper"))
    desk.keep()
    return desk


@pytest.mark.parametrize("scope", ["global", "account"])
def test_the_broker_is_suspended_and_released_with_the_switch(desk: Desk, scope: str) -> None:
    name = desk.account.scope if scope == "account" else scope
    desk.engage(name)
    link = desk.keep()
    assert (desk.broker.suspended, link.suspended, link.suspended_by_us) == (True, True, True)
    desk.release(name)
    link = desk.keep()
    assert (desk.broker.suspended, link.suspended, link.suspended_by_us) == (False, False, False)
    assert desk.broker.calls == [True, False]


@pytest.mark.parametrize("scope", ["strategy:manual", "account:another"])
def test_a_switch_of_a_part_suspends_nothing(desk: Desk, scope: str) -> None:
    desk.engage(scope)
    assert not desk.keep(after=60).suspended
    assert desk.broker.calls == []


def test_a_suspension_that_is_not_ours_is_shown_and_left_alone(desk: Desk) -> None:
    desk.broker.suspended = True
    link = desk.keep(after=30)
    assert (link.suspended, link.suspended_by_us) == (True, False)
    desk.engage()
    assert desk.keep(after=30).suspended_by_us is False
    desk.release()
    assert desk.keep(after=30).suspended is True
    assert desk.broker.calls == []


def test_the_broker_is_asked_every_half_minute_and_at_each_turn(desk: Desk) -> None:
    asked = desk.broker.asked
    for _ in range(29):
        desk.keep(after=1)
    assert desk.broker.asked == asked
    desk.keep(after=1)
    assert desk.broker.asked == asked + 1
    desk.engage()
    desk.keep()
    assert desk.broker.asked == asked + 2
    desk.keep()
    assert desk.broker.asked == asked + 2


def test_a_lock_that_somebody_opened_is_closed_again(desk: Desk) -> None:
    desk.engage()
    desk.keep()
    desk.broker.suspended = False
    assert desk.keep(after=30).suspended
    assert desk.broker.calls == [True, True]


def test_a_failure_is_told_and_tried_again_and_never_raised(desk: Desk) -> None:
    desk.broker.fails = True
    desk.engage()
    link = desk.keep()
    assert link.suspend_problem == "suspending the account failed: the line is down"
    assert not link.suspended
    asked = desk.broker.asked
    desk.keep(after=4)
    assert desk.broker.asked == asked
    desk.broker.fails = False
    link = desk.keep(after=1)
    assert (link.suspended, link.suspended_by_us, link.suspend_problem) == (True, True, "")


def test_a_crash_after_the_broker_was_suspended_does_not_make_it_a_strangers(desk: Desk) -> None:
    def die(suspended: bool) -> None:
        desk.broker.suspended = suspended
        raise KeyboardInterrupt

    desk.engage()
    taken, desk.broker.suspend = desk.broker.suspend, die
    with pytest.raises(KeyboardInterrupt):
        desk.keep()
    desk.broker.suspend = taken
    desk.release()
    link = desk.keep()
    assert (desk.broker.suspended, link.suspended_by_us) == (False, False)


@pytest.mark.parametrize("mode", ["paper", "dry_run"])
def test_brokers_of_this_machine_have_no_second_lock(mode: str) -> None:
    account, broker = make_account(mode=mode), Lockable()
    assert keep_second_lock(account=account, broker=broker, wall_now=WALL_NOW) is False
    assert broker.asked == 0
