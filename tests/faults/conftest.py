"""Both ways to an emulator: `line` with clocks that stand still, `desk` with the real stream and cross-check."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from execution.brokers.alpaca.budget import Budget
from execution.services.recovery import recover_account
from tests.execution.brokers.alpaca.emulated import Ticker, broker_at, emulator_at
from tests.execution.updates.conftest import desk
from tests.factories import MARKET_AT, WALL_NOW, make_account
from tests.faults import killing
from tests.faults.killing import Zygote
from tests.faults.line import Line
from tests.faults.outpost import Outpost, opened

__all__ = ["desk", "line"]


@pytest.fixture
def line() -> Iterator[Line]:
    account = make_account(mode="alpaca_paper")
    ticker = Ticker()
    with (
        emulator_at(MARKET_AT) as emulator,
        broker_at(
            emulator,
            account_id=account.pk,
            budget=Budget(nanoseconds=ticker),
            read_milliseconds=200,
        ) as broker,
    ):
        recover_account(account=account, broker=broker, wall_now=WALL_NOW)
        yield Line(account, emulator, broker, ticker)


@pytest.fixture(scope="session")
def the_outpost(worker_id: str) -> Iterator[Outpost]:
    """The platform's processes on servers of their own, started when the first test asks for them."""
    with opened(Path(settings.VAR_DIR) / f"outpost-{worker_id}") as outpost:
        yield outpost


@pytest.fixture
def outpost(the_outpost: Outpost) -> Outpost:
    """The same with everything running, whatever the test before has left."""
    the_outpost.repair()
    return the_outpost


@pytest.fixture(scope="session")
def zygote(django_db_setup: None) -> Iterator[Zygote]:
    """A process that forks children which may be killed."""
    with killing.zygote() as here:
        yield here
