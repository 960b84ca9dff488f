"""A cancel that was asked for leaves at once, whatever else of the dispatcher hangs."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from execution.brokers.alpaca import AlpacaBroker
from execution.brokers.base import BrokerUnreachable
from execution.emulator.server import RunningEmulator
from execution.models import Account, BrokerLink, Order
from execution.services.cancels import request_cancel
from execution.services.wishes import keep_wish
from marketdata.clock import wall_now
from risk.services import kill_switch
from tests.execution.brokers.alpaca.emulated import broker_at, emulator_at
from tests.execution.updates.line_cases import until
from tests.factories import MARKET_AT, WALL_NOW, D, allow_bursts, make_account, make_order
from trading.management.commands import run_dispatcher

pytestmark = pytest.mark.django_db(transaction=True)
MODE = "alpaca_paper"
AT_ONCE_SECONDS = 5
"""A second on a machine that has nothing else to do."""


@pytest.fixture
def account(settings: Any, tmp_path: Path) -> Account:
    settings.TRADING_MODE, settings.VAR_DIR = MODE, tmp_path
    return make_account(name=MODE, mode=MODE)


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with emulator_at(MARKET_AT) as running:
        yield running


@pytest.fixture
def command(
    account: Account, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[run_dispatcher.Command]:
    """A dispatcher that has begun, with one accepted order at the broker."""
    with broker_at(emulator, account_id=account.pk) as adapter:
        monkeypatch.setattr(run_dispatcher, "broker_for", lambda account: adapter)
        dispatcher = run_dispatcher.Command()
        dispatcher.stopping, dispatcher.last_beat = threading.Event(), None
        dispatcher.start()
        try:
            dispatcher.round()
            allow_bursts()
            make_order(account, client_order_id="old", order_type="limit", limit_price=D(99))
            dispatcher.round()
            assert Order.objects.get().status == "accepted"
            yield dispatcher
        finally:
            dispatcher.finish()


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], threading.Event]]:
    """Let a method of the adapter hang until the test is over; returns what says that it does."""
    release = threading.Event()

    def begin(name: str) -> threading.Event:
        reached = threading.Event()

        def wait(self: AlpacaBroker, *args: Any, **fields: Any) -> None:
            reached.set()
            release.wait(30)
            raise BrokerUnreachable("nobody answers", code="no_answer")

        monkeypatch.setattr(AlpacaBroker, name, wait)
        return reached

    yield begin
    release.set()


@pytest.fixture
def round_of_its_own(command: run_dispatcher.Command) -> Iterator[Callable[[], None]]:
    threads: list[threading.Thread] = []

    def run() -> None:
        try:
            command.round()
        finally:
            connection.close()

    def begin() -> None:
        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield begin
    for thread in threads:
        thread.join(40)


def canceled(emulator: RunningEmulator) -> threading.Event:
    """Return what says that the venue was asked to cancel."""
    asked = threading.Event()
    emulator.call(
        lambda: emulator.venue.listeners.append(
            lambda message: asked.set() if message["data"]["event"] == "canceled" else None
        )
    )
    return asked


def want_gone() -> None:
    request_cancel(order=Order.objects.get(client_order_id="old"), operator="ann", wall_now=wall_now())


@pytest.mark.parametrize("hanging", ["account", "find", "submit_many", "open_orders", "positions"])
def test_a_cancel_leaves_while_something_else_hangs(
    hanging: str,
    account: Account,
    command: run_dispatcher.Command,
    emulator: RunningEmulator,
    round_of_its_own: Callable[[], None],
    hang: Callable[[str], threading.Event],
) -> None:
    asked = canceled(emulator)
    if hanging == "account":
        command.verified_at = None
    elif hanging == "find":
        lost = make_order(account, client_order_id="lost", order_type="limit", limit_price=D(98))
        Order.objects.filter(pk=lost.pk).update(status="submitted", submitted_at=WALL_NOW)
        command.resolved_at = None
    elif hanging == "submit_many":
        make_order(account, client_order_id="new", order_type="limit", limit_price=D(98))
    else:
        command.recovered = False
    reached = hang(hanging)
    round_of_its_own()
    assert reached.wait(AT_ONCE_SECONDS)
    want_gone()
    assert asked.wait(AT_ONCE_SECONDS)


def test_what_the_broker_tells_is_booked_while_a_submit_hangs(
    account: Account,
    command: run_dispatcher.Command,
    emulator: RunningEmulator,
    round_of_its_own: Callable[[], None],
    hang: Callable[[str], threading.Event],
) -> None:
    make_order(account, client_order_id="new", order_type="limit", limit_price=D(98))
    reached = hang("submit_many")
    round_of_its_own()
    assert reached.wait(AT_ONCE_SECONDS)
    emulator.tick("AAPL", last=D("98.50"), bid=D("98.49"), ask=D("98.51"))
    until(lambda: Order.objects.get(client_order_id="old").status == "filled")
    assert Order.objects.get(client_order_id="new").status == "submitted"


def test_a_cancel_leaves_while_the_second_lock_hangs(
    account: Account,
    command: run_dispatcher.Command,
    emulator: RunningEmulator,
    round_of_its_own: Callable[[], None],
    hang: Callable[[str], threading.Event],
) -> None:
    asked = canceled(emulator)
    reached = hang("suspend")
    kill_switch.engage(scope="global", operator="ann", reason="a lock that hangs", source="console", now=wall_now())
    round_of_its_own()
    assert reached.wait(AT_ONCE_SECONDS)
    want_gone()
    assert asked.wait(AT_ONCE_SECONDS)


def test_a_kill_switch_from_disk_is_engaged_while_a_submit_hangs(
    account: Account,
    command: run_dispatcher.Command,
    emulator: RunningEmulator,
    round_of_its_own: Callable[[], None],
    hang: Callable[[str], threading.Event],
    tmp_path: Path,
) -> None:
    asked = canceled(emulator)
    make_order(account, client_order_id="new", order_type="limit", limit_price=D(98))
    reached = hang("submit_many")
    round_of_its_own()
    assert reached.wait(AT_ONCE_SECONDS)
    keep_wish(
        tmp_path, scope="global", operator="ann", reason="the database was away", source="cli", wall_now=wall_now()
    )
    assert asked.wait(AT_ONCE_SECONDS)


def test_nothing_is_canceled_at_another_account(
    account: Account, command: run_dispatcher.Command, emulator: RunningEmulator
) -> None:
    asked = canceled(emulator)
    BrokerLink.objects.filter(account=account).update(pinned_account_id="another")
    command.verified_at = None
    command.round()
    want_gone()
    assert not asked.wait(2)
    BrokerLink.objects.filter(account=account).update(pinned_account_id=emulator_account(command))
    command.verified_at = wall_now() - timedelta(minutes=1)
    command.round()
    assert asked.wait(AT_ONCE_SECONDS)


def emulator_account(command: run_dispatcher.Command) -> str:
    account = Account.objects.get()
    return str(run_dispatcher.broker_for(account).account().account_id)


def test_the_thread_ends_with_its_owner_and_a_dead_one_is_replaced(command: run_dispatcher.Command) -> None:
    assert command.cancels is not None
    first = command.cancels
    first.stop()
    assert not first.is_alive
    command.round()
    assert command.cancels is not first
    assert command.cancels.is_alive
    command.finish()
    assert not command.cancels.is_alive
