"""A program written for Alpaca sees the same at a desk of ours that trades on Alpaca as at Alpaca itself.

Program → our `/alpaca` → gate → dispatcher → adapter → emulator, and back by two streams; then at an emulator alone.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connections

from execution.brokers import registry
from execution.brokers.alpaca import AlpacaBroker
from execution.brokers.alpaca.trade_updates import TradeUpdates
from execution.brokers.registry import alpaca_broker_for
from execution.emulator.bar_market import SampleMarket
from execution.emulator.clock import VenueClock
from execution.emulator.server import RunningEmulator
from execution.models import Account, Fill, Order
from execution.selectors import net_quantities
from execution.services.dispatch import dispatch_once
from execution.services.reports import apply_reports
from marketdata.clock import wall_now
from marketdata.models import Feed, Quote
from marketdata.services.sample import import_sample
from ops_console.api.desk import forget_account
from ops_console.api.throttling import limiter
from tests.execution.updates.line_cases import until
from tests.factories import allow_bursts
from tests.ops_console.alpaca_api.conftest import KeysOf, LiveServer, keys_of, server
from tests.scenarios import alpaca_script
from tests.scenarios.test_alpaca_script import BEAT_SECONDS, NOON, SPEED, Script, on_the_emulator
from trading.services.bootstrap import bootstrap
from trading.services.broker_desk import look_at_broker
from trading.services.carriers import BrokerCarrier

__all__ = ["keys_of", "server"]  # fixtures


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    """Serve the market and the broker behind the desk."""
    clock = VenueClock.replay(start=NOON, end=None, speed=SPEED, wall=wall_now)
    with RunningEmulator(market=SampleMarket(), clock=clock) as running:
        yield running


@pytest.fixture
def account(emulator: RunningEmulator, transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[Account]:
    """Return the account of a desk that has met the emulator for the first time."""
    settings.LAKE_DIR = tmp_path / "lake"
    settings.TRADING_MODE = settings.DESK_FEED = "alpaca_paper"
    settings.BROKER_MODE = True
    settings.ALPACA_API_KEY_ID, settings.ALPACA_API_SECRET_KEY = emulator.keys.key_id, emulator.keys.secret
    settings.ALPACA_BASE_URL = settings.ALPACA_DATA_URL = emulator.url
    settings.ALPACA_STREAM_URL, settings.ALPACA_DATA_STREAM_URL = emulator.stream_url, emulator.data_stream_url
    limiter.forget()
    forget_account()
    import_sample(wall_now=wall_now())
    made = bootstrap(wall_now=wall_now(), view=look_at_broker())
    Account.objects.filter(pk=made.pk).update(reconciliation=Account.Reconciliation.CLEAN)
    allow_bursts()
    yield Account.objects.select_related("feed").get(pk=made.pk)
    alpaca_broker_for(made).line.close()
    registry._line_of.cache_clear()
    forget_account()


@contextmanager
def processes(account: Account, broker: AlpacaBroker) -> Iterator[None]:
    """Run what the processes stream, trade_updates and dispatcher do, each in a thread, until the end of the block."""
    ended, loop, stopping = Event(), asyncio.new_event_loop(), asyncio.Event()
    updates = TradeUpdates(account=account, line=broker.line, wall=wall_now)

    def carry() -> None:
        carrier = BrokerCarrier(account, lambda feed, quotes, at: None)
        try:
            while not ended.wait(BEAT_SECONDS):
                carrier.round(wall_now())
        finally:
            carrier.stop()
            connections.close_all()

    def dispatch() -> None:
        try:
            while not ended.wait(BEAT_SECONDS):
                desk = Account.objects.select_related("feed").get(pk=account.pk)
                dispatch_once(account=desk, broker=broker, wall_now=wall_now())
                apply_reports(account=desk, broker=broker, wall_now=wall_now())
        finally:
            connections.close_all()

    threads = [Thread(target=carry, name="stream"), Thread(target=dispatch, name="dispatcher")]
    with closing(loop), ThreadPoolExecutor(1) as pool:
        running: Future[None] = pool.submit(loop.run_until_complete, updates.run(stopping))
        for thread in threads:
            thread.start()
        try:
            until(lambda: updates.listener.is_live and is_quoted(account.feed))
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()
            loop.call_soon_threadsafe(stopping.set)
            running.result(20)


def is_quoted(feed: Feed) -> bool:
    """Tell whether the names that the script trades have prices of both sides."""
    known = Quote.objects.filter(feed=feed, bid__isnull=False, ask__isnull=False)
    return known.filter(instrument__symbol__in=(alpaca_script.SYMBOL, alpaca_script.OTHER)).count() == 2


def both_books(account: Account, emulator: RunningEmulator) -> tuple[object, object]:
    """Return ours and theirs: what is held, and every execution's order, shares and price."""
    log = emulator.log
    positions, fills = emulator.call(lambda: (log.positions(), list(log.fills())))
    ours = Fill.objects.filter(account=account).values_list("order__broker_order_id", "quantity", "price")
    return (
        ({name: held for name, held in net_quantities(account).items() if held}, sorted(ours)),
        (positions, sorted((fill.order_id, fill.quantity, fill.price) for fill in fills)),
    )


@pytest.mark.parametrize("script", [alpaca_script.run, alpaca_script.run_groups])
def test_script_for_alpaca_runs_the_same_through_us(
    account: Account, emulator: RunningEmulator, server: LiveServer, keys_of: KeysOf, script: Script
) -> None:
    keys = keys_of()
    with processes(account, alpaca_broker_for(account)):
        here = script(
            url=server.url,
            data_url=server.url,
            stream_url=server.stream_url,
            key_id=keys.key_id,
            secret=keys.secret,
        )
    there = on_the_emulator(script)
    assert {name: (here[name], there.get(name)) for name in here if here[name] != there.get(name)} == {}
    assert here.keys() == there.keys()
    ours, theirs = both_books(account, emulator)
    assert ours == theirs
    sent = Order.objects.filter(account=account).exclude(broker_order_id="").count()
    assert emulator.call(lambda: len(emulator.log.orders())) == sent
