"""The dispatcher at a broker over a network: who may be sent to, what happens between two orders, the second lock."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from execution.brokers.alpaca import AlpacaBroker
from execution.brokers.base import BrokerNotConfigured
from execution.emulator.faults import Fault, FaultKind
from execution.emulator.server import RunningEmulator
from execution.emulator.venue import VenueSettings
from execution.emulator.venue.life import force_fill
from execution.models import Account, BrokerLink, Order
from execution.services.broker_identity import verify_identity
from execution.services.cancels import request_cancel
from execution.services.dispatch import dispatch_once
from execution.services.halt import engage_kill_switch
from execution.services.recovery import recover_account
from execution.types import DispatchReport
from risk.types import Side
from tests.execution.brokers.alpaca.emulated import broker_at, emulator_at
from tests.factories import MARKET_AT, WALL_NOW, D, allow_bursts, make_account, make_order
from trading.management.commands import run_dispatcher
from trading.models import Heartbeat

pytestmark = pytest.mark.django_db
MODE = "alpaca_paper"


@pytest.fixture
def account(settings: Any) -> Account:
    settings.TRADING_MODE = MODE
    return make_account(name=MODE, mode=MODE)


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with emulator_at(MARKET_AT) as running:
        yield running


@pytest.fixture
def broker(account: Account, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[AlpacaBroker]:
    with broker_at(emulator, account_id=account.pk) as adapter:
        monkeypatch.setattr(run_dispatcher, "broker_for", lambda account: adapter)
        yield adapter


def run_once() -> None:
    call_command("run_dispatcher", "--once", stdout=StringIO())


def posts(emulator: RunningEmulator) -> int:
    return emulator.surface.requests["POST", "/v2/orders"]


def waiting_orders(account: Account, broker: AlpacaBroker, count: int) -> None:
    """Store orders of an account that was reconciled before."""
    recover_account(account=account, broker=broker, wall_now=WALL_NOW)
    allow_bursts()
    for number in range(count):
        make_order(account, client_order_id=f"n{number}", order_type="limit", limit_price=D(99))


def test_it_pins_recovers_and_sends(account: Account, broker: AlpacaBroker, emulator: RunningEmulator) -> None:
    waiting_orders(account, broker, 3)
    run_once()
    assert set(Order.objects.values_list("status", flat=True)) == {"accepted"}
    assert posts(emulator) == 3
    assert BrokerLink.objects.get(account=account).pinned_account_number == "PA0EMULATOR"
    assert Heartbeat.objects.get(name="dispatcher").detail == {"sent": 3, "recovered": True}


def test_a_wrong_account_ends_the_start_with_one_line_and_nothing_is_sent(
    account: Account, broker: AlpacaBroker, emulator: RunningEmulator
) -> None:
    waiting_orders(account, broker, 1)
    verify_identity(account=account, broker=broker, wall_now=WALL_NOW)
    BrokerLink.objects.filter(account=account).update(pinned_account_number="PA0ANOTHER")
    with pytest.raises(CommandError) as ended:
        run_once()
    assert str(ended.value).startswith(
        "nothing is sent: account alpaca_paper: the broker answers for account PA0EMULATOR; it was PA0ANOTHER since"
    )
    assert len(str(ended.value).splitlines()) == 1
    assert posts(emulator) == 0


def test_a_live_account_in_paper_mode_is_not_touched(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        emulator_at(MARKET_AT, settings=VenueSettings(account_number="987654321")) as emulator,
        broker_at(emulator, account_id=account.pk) as broker,
    ):
        waiting_orders(account, broker, 1)
        monkeypatch.setattr(run_dispatcher, "broker_for", lambda account: broker)
        with pytest.raises(CommandError, match="987654321, which is no paper account"):
            run_once()
        assert posts(emulator) == 0
        assert emulator.log.entries(kind="submitted") == []


def test_missing_keys_end_the_start_with_one_line(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY must be set") as ended:
        run_once()
    assert len(str(ended.value).splitlines()) == 1

    def none(account: Account) -> AlpacaBroker:
        raise BrokerNotConfigured("no broker is configured", code="broker_not_configured")

    monkeypatch.setattr(run_dispatcher, "broker_for", none)
    with pytest.raises(CommandError, match="no broker is configured"):
        run_once()


def test_a_broker_that_is_away_is_waited_for(account: Account, broker: AlpacaBroker, emulator: RunningEmulator) -> None:
    waiting_orders(account, broker, 1)
    emulator.faults.add(Fault(kind=FaultKind.REFUSE_503, match={"path": "/v2/account"}, times=None))
    with pytest.raises(CommandError, match="HTTP 503"):
        run_once()
    assert posts(emulator) == 0
    detail = Heartbeat.objects.get(name="dispatcher").detail
    assert "HTTP 503" in detail["problem"]
    assert not detail["recovered"]
    emulator.faults.clear()
    run_once()
    assert posts(emulator) == 1


def test_a_broker_that_turns_into_another_gets_nothing_more(
    account: Account, broker: AlpacaBroker, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = run_dispatcher.Command()
    command.handle(once=True)
    BrokerLink.objects.filter(account=account).update(pinned_account_id="another")
    allow_bursts()
    make_order(account, order_type="limit", limit_price=D(99))
    command.round()
    assert posts(emulator) == 1  # within the half minute nobody asks
    monkeypatch.setattr(run_dispatcher, "VERIFY_EVERY", run_dispatcher.RETRY_VERIFY * 0)
    monkeypatch.setattr(run_dispatcher, "RETRY_VERIFY", run_dispatcher.RETRY_VERIFY * 0)
    make_order(account, client_order_id="later", order_type="limit", limit_price=D(99))
    command.round()
    assert posts(emulator) == 1
    assert "the broker has made it anew" in command.detail()["problem"]


def test_a_difference_that_goes_away_lets_the_account_trade_again(
    account: Account, broker: AlpacaBroker, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting_orders(account, broker, 1)
    emulator.call(lambda: emulator.venue.set_position("AAPL", D(5), D(100)))
    command = run_dispatcher.Command()
    command.handle(once=True)
    account.refresh_from_db()
    assert (account.reconciliation, posts(emulator)) == ("broken", 0)
    emulator.call(lambda: emulator.venue.set_position("AAPL", D(0), D(100)))
    command.round()
    assert posts(emulator) == 0  # it is not looked at all the time
    command.look_again_at = WALL_NOW
    command.round()
    account.refresh_from_db()
    assert (account.reconciliation, posts(emulator)) == ("clean", 1)


def test_the_broker_is_suspended_right_after_the_cancels(
    account: Account, broker: AlpacaBroker, emulator: RunningEmulator
) -> None:
    waiting_orders(account, broker, 1)
    run_once()
    engage_kill_switch(
        scope="global", operator="ann", reason="a test of the second lock", source="console", wall_now=WALL_NOW
    )
    run_once()
    assert set(Order.objects.values_list("status", flat=True)) == {"canceled"}
    assert broker.account().suspended
    link = BrokerLink.objects.get(account=account)
    assert (link.suspended, link.suspended_by_us, link.suspend_problem) == (True, True, "")


def test_a_lock_that_cannot_be_closed_stops_no_cancel(
    account: Account, broker: AlpacaBroker, emulator: RunningEmulator
) -> None:
    waiting_orders(account, broker, 1)
    run_once()
    emulator.faults.add(Fault(kind=FaultKind.REFUSE_503, match={"path": "/v2/account/configurations"}, times=None))
    engage_kill_switch(
        scope="global", operator="ann", reason="a test of the second lock", source="console", wall_now=WALL_NOW
    )
    run_once()
    assert set(Order.objects.values_list("status", flat=True)) == {"canceled"}
    assert "suspending the account failed" in BrokerLink.objects.get(account=account).suspend_problem


def test_a_long_queue_does_not_keep_the_process_from_its_other_work(
    account: Account, broker: AlpacaBroker, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting_orders(account, broker, 3)
    monkeypatch.setattr(run_dispatcher, "SENDING_AT_MOST", run_dispatcher.SENDING_AT_MOST * 0)
    command = run_dispatcher.Command()
    command.handle(once=True)
    assert (posts(emulator), command.more) == (1, True)
    for _ in range(3):
        command.round()
    assert (posts(emulator), command.more) == (3, False)


def test_an_exit_is_judged_on_what_was_told_until_now(
    account: Account, broker: AlpacaBroker, emulator: RunningEmulator
) -> None:
    waiting_orders(account, broker, 0)
    for name, fields in (("hold", {}), ("sell", {"side": Side.SELL, "order_type": "limit", "limit_price": D(105)})):
        make_order(account, client_order_id=name, **fields)
        run_once()
    run_once()
    command = run_dispatcher.Command()
    command.handle(once=True)
    sold = Order.objects.get(client_order_id="sell")
    request_cancel(order=sold, operator="ann", wall_now=WALL_NOW)
    command.round()
    make_order(account, client_order_id="exit", side=Side.SELL, reduce_only=True)
    state = emulator.venue.state
    emulator.call(lambda: force_fill(state, state.orders.get(sold.broker_order_id), D(10), state.moment(), D(105)))
    command.round()
    assert dict(Order.objects.values_list("client_order_id", "status"))["exit"] == "denied"
    assert posts(emulator) == 2


def test_a_process_that_is_told_to_stop_sends_nothing_more(
    account: Account, broker: AlpacaBroker, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting_orders(account, broker, 3)
    command = run_dispatcher.Command()

    def send_and_be_told(**fields: Any) -> DispatchReport:
        command.stopping.set()  # as a signal does, while the broker is being called
        return dispatch_once(**fields)

    monkeypatch.setattr(run_dispatcher, "dispatch_once", send_and_be_told)
    command.handle(once=True)
    assert posts(emulator) == 1
    assert sorted(Order.objects.values_list("status", flat=True)) == ["accepted", "pending", "pending"]


def test_what_comes_alive_again_under_the_switch_is_canceled_again(
    account: Account, broker: AlpacaBroker, emulator: RunningEmulator
) -> None:
    waiting_orders(account, broker, 2)
    run_once()
    emulator.faults.add(Fault(kind=FaultKind.CANCEL_REJECTED, match={"client_order_id": "n0"}))
    engage_kill_switch(
        scope="global", operator="ann", reason="a test of the last look", source="console", wall_now=WALL_NOW
    )
    for _ in range(3):
        run_once()
    assert set(Order.objects.values_list("status", flat=True)) == {"canceled"}
    assert broker.open_orders() == []


def test_cancels_go_while_the_account_cannot_be_reconciled(
    account: Account, broker: AlpacaBroker, emulator: RunningEmulator
) -> None:
    waiting_orders(account, broker, 1)
    run_once()
    make_order(account, client_order_id="later", order_type="limit", limit_price=D(99))
    request_cancel(order=Order.objects.get(client_order_id="n0"), operator="ann", wall_now=WALL_NOW)
    emulator.faults.add(Fault(kind=FaultKind.POSITIONS_FAIL, times=None))
    run_once()
    account.refresh_from_db()
    assert account.reconciliation == "pending"
    assert broker.open_orders() == []
    assert posts(emulator) == 1  # and nothing else
