"""A desk at a broker has the bars of the session before when its strategies decide."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from execution.emulator.bar_market import SampleMarket
from execution.emulator.clock import VenueClock
from execution.emulator.server import RunningEmulator
from execution.models import Account
from execution.services.accounts import open_account
from marketdata import calendar
from marketdata.clock import ClockState
from marketdata.errors import MarketDataError
from marketdata.lake import BarLake
from marketdata.providers.sample import SAMPLE_NAMES, SampleProvider
from marketdata.services.feeds import follow_clock
from marketdata.services.instruments import ensure_instruments
from tests.factories import WALL_NOW
from trading.services.schedule import due_work
from trading.services.session_bars import bars_are_due, import_session_bars, symbols_without_bar
from trading.tasks import import_bars

pytestmark = pytest.mark.django_db
DAY = date(2012, 6, 14)
BEFORE = date(2012, 6, 13)
MORNING = calendar.session_open(DAY) - timedelta(minutes=45)


@pytest.fixture
def account(settings: Any, tmp_path: Any) -> Account:
    """A desk whose lake ends a week before its morning."""
    settings.LAKE_DIR = tmp_path / "lake"
    ensure_instruments(symbols=SAMPLE_NAMES)
    BarLake(settings.LAKE_DIR).write(
        SampleProvider().bars(start=date(2012, 5, 1), end=date(2012, 6, 7)), "1d", "sample"
    )
    state = ClockState(kind="replay", start_at=MORNING, speed=Decimal(1), anchor_at=WALL_NOW)
    return open_account(
        name="alpaca_paper",
        mode=Account.Mode.ALPACA_PAPER,
        kind=Account.Kind.DESK,
        feed=follow_clock(name="alpaca_paper", state=state, wall_now=WALL_NOW),
        starting_cash=Decimal(100_000),
        wall_now=WALL_NOW,
    )


@pytest.fixture
def emulator(settings: Any) -> Iterator[RunningEmulator]:
    with RunningEmulator(market=SampleMarket(), clock=VenueClock.manual(MORNING)) as running:
        settings.ALPACA_API_KEY_ID, settings.ALPACA_API_SECRET_KEY = running.keys.key_id, running.keys.secret
        settings.ALPACA_DATA_URL = running.url
        yield running


def test_the_morning_asks_for_what_is_missing_and_the_import_brings_it(
    account: Account, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert symbols_without_bar(BEFORE) == sorted(SAMPLE_NAMES)
    assert "import_bars" in [due.task for due in due_work(account=account, wall_now=WALL_NOW)]
    monkeypatch.setattr("trading.tasks.wall_now", lambda: WALL_NOW)
    assert import_bars(account.pk) == f"{4 * len(SAMPLE_NAMES)} bars"  # four sessions since the lake's last
    assert symbols_without_bar(BEFORE) == []
    assert "import_bars" not in [due.task for due in due_work(account=account, wall_now=WALL_NOW)]
    assert import_session_bars(account=account, wall_now=WALL_NOW) == 0


def test_bars_are_asked_for_in_the_hour_before_the_open_only(account: Account) -> None:
    opening = calendar.session_open(DAY)
    moments = {minutes: bars_are_due(opening - timedelta(minutes=minutes)) for minutes in (90, 61, 59, 3, 1, -10)}
    assert moments == {90: False, 61: False, 59: True, 3: True, 1: False, -10: False}


def test_a_source_that_is_away_fails_the_task_so_that_it_is_asked_for_again(account: Account, settings: Any) -> None:
    settings.ALPACA_API_KEY_ID, settings.ALPACA_API_SECRET_KEY = "PKNOBODY", "nothing"
    settings.ALPACA_DATA_URL = "http://127.0.0.1:9"
    with pytest.raises(MarketDataError):
        import_session_bars(account=account, wall_now=WALL_NOW)
    assert symbols_without_bar(BEFORE)
