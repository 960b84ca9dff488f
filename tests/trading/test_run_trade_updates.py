"""The process that hears the broker: it beats, ends on a signal, says in one line why it cannot."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from execution.emulator.server import RunningEmulator
from execution.emulator.venue import VenueSettings
from execution.models import BrokerLink, BrokerMessage
from execution.services import line_alerts
from execution.services.broker_link import link_of
from marketdata.clock import wall_now
from risk.models import Alert
from tests.execution.updates.line_cases import Desk, emulated, until
from trading.management.commands import run_trade_updates
from trading.models import Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9"


def settle_on(settings: Any, url: str, stream_url: str = "") -> None:
    settings.TRADING_MODE = "alpaca_paper"
    settings.ALPACA_API_KEY_ID, settings.ALPACA_API_SECRET_KEY = "PKEMULATOR", "emulator-secret"
    settings.ALPACA_BASE_URL, settings.ALPACA_STREAM_URL = url, stream_url


@pytest.fixture
def emulator(settings: Any) -> Iterator[RunningEmulator]:
    with emulated() as running:
        settle_on(settings, running.url, running.stream_url)
        yield running


@pytest.fixture
def desk(emulator: RunningEmulator) -> Desk:
    return Desk(emulator, name="alpaca_paper")


def run_until(condition: Callable[[], bool], say: Callable[[], object] = lambda: "") -> None:
    """Run the process, and send it SIGTERM once the condition holds."""
    failed: list[BaseException] = []

    def watch() -> None:
        try:
            until(condition, say=say, within=timedelta(seconds=20))
        except BaseException as error:  # noqa: BLE001 -- raised below, in the test's own thread
            failed.append(error)
        finally:
            connection.close()
            os.kill(os.getpid(), signal.SIGTERM)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    watcher = Thread(target=watch)
    watcher.start()
    try:
        call_command("run_trade_updates")
    finally:
        watcher.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    if failed:
        raise failed[0]


def test_it_listens_beats_and_ends_cleanly_on_a_signal(desk: Desk) -> None:
    order = desk.order(quantity=Decimal(5), order_type="limit", limit_price=Decimal("99"))

    def hears() -> bool:
        if link_of(desk.account).stream == "live" and not order.filled_quantity:
            desk.price("98.50")
            desk.dispatch()
            order.refresh_from_db()
        return Heartbeat.objects.filter(name="trade_updates", detail__frames__gte=1).exists()

    run_until(hears, say=lambda: list(Heartbeat.objects.values()))
    assert BrokerMessage.objects.get(kind="fill").source == "stream"
    link = link_of(desk.account)
    assert (link.stream, link.pinned_account_number) == ("down", "PA0EMULATOR")
    assert "stopped" in link.stream_problem
    assert desk.emulator.call(lambda: desk.emulator.surface.updates.connections) == 0


def test_once_is_one_cross_check_without_the_stream(desk: Desk) -> None:
    desk.order(quantity=Decimal(5), order_type="limit", limit_price=Decimal("99"))
    desk.price("98.50")
    call_command("run_trade_updates", "--once")
    assert list(BrokerMessage.objects.values_list("kind", "source")) == [("fill", "poll")]
    link = link_of(desk.account)
    assert link.polled_at is not None
    assert link.backfilled_until is not None
    assert link.heard_at is None


@pytest.mark.parametrize("mode", ["paper", "dry_run"])
def test_a_mode_without_such_a_broker_says_so(settings: Any, mode: str) -> None:
    settings.TRADING_MODE = mode
    with pytest.raises(CommandError, match=f"TRADING_MODE is {mode}: only alpaca_live, alpaca_paper"):
        call_command("run_trade_updates")


def test_once_without_an_account_or_a_host_is_one_line(settings: Any) -> None:
    settle_on(settings, NOWHERE)
    with pytest.raises(CommandError, match="the desk has no account alpaca_paper yet"):
        call_command("run_trade_updates", "--once")


def test_a_host_that_is_away_is_noted_and_tried_again_while_the_process_beats(
    desk: Desk, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_on(settings, NOWHERE)
    monkeypatch.setattr(run_trade_updates, "FIRST_PAUSE", timedelta(milliseconds=100))
    run_until(
        lambda: Heartbeat.objects.filter(name="trade_updates").exists() and link_of(desk.account).stream == "down"
    )
    assert "cannot be reached" in link_of(desk.account).stream_problem


def test_a_host_that_stays_away_is_an_alert(desk: Desk, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_on(settings, NOWHERE)
    monkeypatch.setattr(run_trade_updates, "FIRST_PAUSE", timedelta(milliseconds=100))
    monkeypatch.setattr(line_alerts, "BLIP", timedelta(milliseconds=300))
    run_until(lambda: Alert.objects.filter(code=line_alerts.DOWN).exists())
    alert = Alert.objects.get()
    assert (alert.severity, alert.subject, alert.state) == ("critical", desk.account.scope, "open")
    assert "cannot be reached" in alert.message


def test_another_account_is_refused_and_nothing_of_it_is_kept(desk: Desk) -> None:
    BrokerLink.objects.update_or_create(
        account=desk.account,
        defaults={
            "pinned_account_id": "another",
            "pinned_account_number": "PA9OTHER",
            "pinned_key": "x",
            "pinned_at": wall_now(),
        },
    )
    run_until(lambda: link_of(desk.account).stream == "refused")
    link = link_of(desk.account)
    assert "PA9OTHER" in link.stream_problem
    assert link.identity_problem
    assert not BrokerMessage.objects.exists()


def test_a_live_account_in_paper_mode_is_refused(settings: Any) -> None:
    with emulated(settings=VenueSettings(account_number="123456789")) as live:
        settle_on(settings, live.url, live.stream_url)
        here = Desk(live, name="alpaca_paper")
        with pytest.raises(CommandError, match="123456789, which is no paper account"):
            call_command("run_trade_updates", "--once")
        here.line.close()
