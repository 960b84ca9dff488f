"""A process of its own, nobody trades, a price falls: the breaker trips; killed in between, it trips all the same."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from execution.models import Account
from marketdata.clock import wall_now
from risk.models import BreakerEvent, RiskReading
from tests.conftest import REPOSITORY
from tests.execution.cases import FakeBroker, filled_order
from tests.factories import D, allow, make_account, make_quote

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 90
BOUND_SECONDS = 2.0
"""From the price to the trip: two looks that agree, a second apart."""
SLACK_SECONDS = 2.0
"""What a machine may take besides that does many other things at the same time."""


def environment(tmp_path: Path) -> dict[str, str]:
    """Return variables with which a process works on this test's database."""
    database = connection.settings_dict
    url = f"postgresql://{database['USER']}@/{database['NAME']}?host={quote(str(database['HOST']), safe='')}"
    if database["PORT"]:
        url += f"&port={database['PORT']}"
    return os.environ | {
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "VAR_DIR": str(tmp_path),
        "TRADING_MODE": "paper",
    }


class Clock:
    """The clock process of the desk."""

    def __init__(self, tmp_path: Path) -> None:
        self.variables = environment(tmp_path)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "manage.py", "run_clock"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, cwd=REPOSITORY, env=self.variables, **quiet)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)
            self.process = None


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    made = Clock(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def account() -> Account:
    made = make_account(name="paper")
    allow(max_position_quantity=10**6)
    filled_order(made, FakeBroker(), quantity=D(1000))
    return made


def until(fact: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = fact()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail(f"{what} did not happen within {PATIENCE_SECONDS} s")


def trip() -> BreakerEvent | None:
    return BreakerEvent.objects.filter(state="tripped").first()


def looked_at() -> datetime | None:
    return RiskReading.objects.values_list("evaluated_at", flat=True).first()


def test_166_a_loss_by_the_price_alone_trips_within_two_seconds(account: Account, clock: Clock) -> None:
    clock.start()
    until(looked_at, "the first look")
    fell_at = wall_now()
    make_quote(account.feed, last="95")
    event = until(trip, "the trip")
    assert (event.cause, event.operator) == ("daily_loss", "risk watch")
    assert (event.at - fell_at).total_seconds() <= BOUND_SECONDS + SLACK_SECONDS


def test_a_watch_that_is_killed_between_two_looks_has_forgotten_nothing(account: Account, clock: Clock) -> None:
    allow(breaker_confirmations=6)  # so many seconds for a machine that is slow to kill
    clock.start()
    until(looked_at, "the first look")
    make_quote(account.feed, last="95")
    until(lambda: RiskReading.objects.get().streaks.get("daily_loss"), "a look at the fall")
    clock.kill()
    seen = RiskReading.objects.get().streaks["daily_loss"]
    assert 1 <= seen < 6
    assert trip() is None
    clock.start()
    event = until(trip, "the trip")
    assert RiskReading.objects.get().streaks["daily_loss"] >= 6
    assert event.cause == "daily_loss"
