"""A program written for Alpaca runs against our own API with nothing but its addresses and keys changed.

The emulator is what it was written for; the desk has the same market of sample bars, so the results must be the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connections

from execution.emulator.bar_market import SampleMarket
from execution.emulator.clock import VenueClock
from execution.emulator.server import RunningEmulator
from execution.models import Account
from execution.services.dispatch import dispatch_once
from execution.services.reports import apply_reports
from marketdata import calendar
from marketdata.clock import wall_now
from marketdata.lake import default_lake
from marketdata.models import Feed
from marketdata.providers.replay import ReplayProvider
from marketdata.providers.sample import SAMPLE_NAMES
from marketdata.services.sample import import_sample
from ops_console.api.desk import forget_account
from ops_console.api.throttling import limiter
from tests.factories import allow_bursts
from tests.ops_console.alpaca_api.conftest import KeysOf, LiveServer, keys_of, server
from tests.scenarios import alpaca_script
from trading.services.bootstrap import bootstrap
from trading.services.market_day import Desk, before_open
from trading.services.stream import step

__all__ = ["keys_of", "server"]  # fixtures

NOON = datetime(2012, 6, 14, 16, 0, tzinfo=UTC)
SPEED = Decimal(60)
BEAT_SECONDS = 0.1
Script = Callable[..., dict[str, object]]


@contextmanager
def open_market(account: Account) -> Iterator[None]:
    """Let the desk trade: quotes into its feed, ticks to the built-in exchange, orders out, fills back."""
    ended = Event()
    provider = ReplayProvider(default_lake(), symbols=sorted(SAMPLE_NAMES))

    def trade() -> None:
        try:
            while not ended.wait(BEAT_SECONDS):
                feed = Feed.objects.get(pk=account.feed_id)
                desk = Desk.of(account, provider)
                dispatch_once(account=desk.account, broker=desk.broker, wall_now=wall_now())
                apply_reports(account=desk.account, broker=desk.broker, wall_now=wall_now())
                step(feed=feed, provider=provider, wall_now=wall_now())
        finally:
            connections.close_all()

    thread = Thread(target=trade, name="desk")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def account(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[Account]:
    """Return a new installation's desk at noon, with the sample's market."""
    settings.LAKE_DIR = tmp_path / "lake"
    limiter.forget()
    forget_account()
    import_sample(wall_now=wall_now())
    made = bootstrap(wall_now=wall_now())
    Account.objects.filter(pk=made.pk).update(reconciliation=Account.Reconciliation.CLEAN)
    Feed.objects.filter(pk=made.feed_id).update(start_at=NOON, anchor_at=wall_now(), speed=SPEED)
    made = Account.objects.select_related("feed").get(pk=made.pk)
    provider = ReplayProvider(default_lake(), symbols=sorted(SAMPLE_NAMES))
    before_open(Desk.of(made, provider), calendar.trading_date(NOON), wall_now())
    step(feed=made.feed, provider=provider, wall_now=wall_now() + timedelta(seconds=1))  # quotes with both sides
    allow_bursts()
    yield made
    forget_account()


def on_the_emulator(script: Script) -> dict[str, object]:
    clock = VenueClock.replay(start=NOON, end=None, speed=SPEED, wall=wall_now)
    with RunningEmulator(market=SampleMarket(), clock=clock) as emulator:
        return script(
            url=emulator.url,
            data_url=emulator.url,
            stream_url=emulator.stream_url,
            key_id=emulator.keys.key_id,
            secret=emulator.keys.secret,
        )


@pytest.mark.parametrize("script", [alpaca_script.run, alpaca_script.run_groups])
def test_script_for_alpaca_runs_the_same_here(
    account: Account, server: LiveServer, keys_of: KeysOf, script: Script
) -> None:
    keys = keys_of()
    with open_market(account):
        here = script(
            url=server.url,
            data_url=server.url,
            stream_url=server.stream_url,
            key_id=keys.key_id,
            secret=keys.secret,
        )
    there = on_the_emulator(script)
    differing = {name: (here[name], there.get(name)) for name in here if here[name] != there.get(name)}
    assert differing == {}
    assert here.keys() == there.keys()
