"""When nobody decides or nobody sends, trading stops without anybody; otherwise it never does."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from execution.brokers.base import BrokerUnreachable
from execution.models import Order
from execution.services.dispatch import dispatch_once
from execution.services.reports import apply_reports
from execution.states import OrderStatus
from risk.models import Alert, KillSwitchEvent
from risk.selectors import is_engaged
from tests.execution.fake_broker import FakeBroker
from tests.factories import WALL_NOW, make_account, make_order
from trading.processes import watched_here
from trading.services.dead_man import ASLEEP, DeadMan
from trading.services.heartbeats import beat

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
PATIENCE, FIRST = timedelta(seconds=30), timedelta(minutes=2)


class Watch:
    """A watchdog that looks once a second, and what it looks at."""

    def __init__(self) -> None:
        self.account = make_account()
        self.broker: Any = FakeBroker()
        self.now = WALL_NOW
        self.man = DeadMan(since=self.now, patience=PATIENCE, first_patience=FIRST)
        self.stops: list[datetime] = []

    def run(self, seconds: int, *beating: str) -> None:
        """Let time pass, with signs of life of the named processes."""
        for _ in range(seconds):
            self.now += SECOND
            for name in beating:
                beat(name=name, wall_now=self.now)
            if self.man.look(account=self.account, broker_of=lambda _: self.broker, wall_now=self.now):
                self.stops.append(self.now)
            self.man.rest(self.now)

    @property
    def stopped(self) -> bool:
        return is_engaged(self.account.scope)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def everybody() -> list[str]:
    return list(watched_here())


def sent(watch: Watch) -> Order:
    order = make_order(watch.account)
    dispatch_once(account=watch.account, broker=watch.broker, wall_now=watch.now)
    return order


@pytest.mark.parametrize("dead", ["clock", "dispatcher"])
def test_ex5_silence_with_an_open_order_stops_the_account_once(watch: Watch, dead: str) -> None:
    sent(watch)
    alive = [name for name in everybody() if name != dead]
    watch.run(5, *everybody())
    watch.run(30, *alive)
    assert not watch.stopped
    watch.run(20, *alive)
    assert watch.stops == [WALL_NOW + 36 * SECOND]
    event = KillSwitchEvent.objects.get(scope=watch.account.scope)
    assert (event.operator, event.source) == ("watchdog", "system")
    assert f"no sign of life of {dead} for 31 s" in event.reason


def test_nothing_at_stake_is_told_and_not_stopped(watch: Watch) -> None:
    watch.run(5, *everybody())
    watch.run(60)
    assert not watch.stopped
    assert set(Alert.objects.filter(code="process_silent").values_list("subject", flat=True)) >= {"clock", "dispatcher"}


def test_a_silence_is_told_once_and_resolved_when_it_ends(watch: Watch) -> None:
    watch.run(2, *everybody())
    watch.run(20, *(name for name in everybody() if name != "stream"))
    alert = Alert.objects.get()
    assert (alert.subject, alert.state, alert.count) == ("stream", "open", 1)
    watch.run(1, *everybody())
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_silent_research_is_a_warning_and_stops_nothing(watch: Watch) -> None:
    sent(watch)
    watch.run(2, *everybody())
    watch.run(60, *(name for name in everybody() if name != "jobs"))
    alert = Alert.objects.get()
    assert (alert.subject, alert.severity) == ("jobs", "warning")
    assert not watch.stopped


def test_an_alert_of_an_earlier_watchdog_is_resolved_as_well(watch: Watch) -> None:
    watch.run(2, *everybody())
    watch.run(20, *(name for name in everybody() if name != "stream"))
    watch.man = DeadMan(since=watch.now, patience=PATIENCE, first_patience=FIRST)
    watch.run(1, *everybody())
    assert Alert.objects.get().state == "resolved"


def test_a_process_that_was_never_heard_may_still_be_starting(watch: Watch) -> None:
    sent(watch)
    watch.run(120)
    assert not watch.stopped
    watch.run(2)
    assert watch.stopped


def test_signs_of_life_from_before_are_none(watch: Watch) -> None:
    sent(watch)
    for name in everybody():
        beat(name=name, wall_now=WALL_NOW - timedelta(hours=8))
    watch.run(100)
    assert not watch.stopped


def test_136_a_machine_that_slept_has_silenced_everybody(watch: Watch) -> None:
    sent(watch)
    watch.run(5, *everybody())
    watch.now += timedelta(hours=8)
    watch.run(100)
    assert not watch.stopped
    watch.run(30)
    assert watch.stopped


def test_a_clock_that_was_put_back_is_no_silence(watch: Watch) -> None:
    sent(watch)
    watch.run(5, *everybody())
    watch.now -= timedelta(minutes=5)
    watch.run(100, *everybody())
    assert not watch.stopped


def test_looks_that_are_a_little_late_are_no_sleep(watch: Watch) -> None:
    sent(watch)
    watch.run(1, *everybody())
    for _ in range(6):
        watch.now += ASLEEP - 2 * SECOND
        watch.run(1)
    assert watch.stopped


def test_162_with_a_dead_dispatcher_the_cancels_go_from_here(watch: Watch) -> None:
    order = sent(watch)
    watch.run(2, *everybody())
    watch.run(40, "clock")
    order.refresh_from_db()
    assert order.status in (OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED)
    assert order.client_order_id in watch.broker.cancels


def test_with_a_living_dispatcher_nothing_goes_from_here(watch: Watch) -> None:
    order = sent(watch)
    watch.run(2, *everybody())
    watch.run(40, "dispatcher")
    order.refresh_from_db()
    assert order.status == OrderStatus.PENDING_CANCEL
    assert not watch.broker.cancels


def test_a_broker_that_is_away_does_not_undo_the_stop(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(watch)
    watch.run(2, *everybody())

    def away(**_: Any) -> None:
        raise BrokerUnreachable("nobody answers")

    monkeypatch.setattr(watch.broker, "cancel", away)
    watch.run(40, "clock")
    assert watch.stopped


def test_a_broker_that_is_slow_is_no_sleep_of_ours(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(watch)
    watch.run(2, *everybody())
    asked: list[str] = []

    def away(**fields: Any) -> None:
        asked.append(fields["client_order_id"])
        watch.now += ASLEEP
        raise BrokerUnreachable("nobody answers")

    monkeypatch.setattr(watch.broker, "cancel", away)
    watch.run(30, "clock")
    watch.run(6, "clock")
    assert len(asked) == 6


def test_a_sign_of_life_from_the_future_is_none(watch: Watch) -> None:
    sent(watch)
    watch.run(2, *everybody())
    beat(name="dispatcher", wall_now=watch.now + timedelta(hours=1))
    watch.now -= timedelta(minutes=5)
    watch.run(125, "clock")
    assert watch.stopped


def test_a_stopped_account_is_not_stopped_again(watch: Watch) -> None:
    sent(watch)
    watch.run(2, *everybody())
    watch.run(60)
    assert (len(watch.stops), KillSwitchEvent.objects.filter(scope=watch.account.scope).count()) == (1, 1)


def test_whatever_is_held_is_at_stake(watch: Watch) -> None:
    order = sent(watch)
    watch.broker.fill(order.client_order_id, order.quantity)
    apply_reports(account=watch.account, broker=watch.broker, wall_now=watch.now)
    order.refresh_from_db()
    assert order.status == OrderStatus.FILLED
    watch.run(2, *everybody())
    watch.run(40)
    assert watch.stopped
