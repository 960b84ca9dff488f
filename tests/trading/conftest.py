"""A market of stored sample bars, shared by the tests of the trading day."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from execution.models import Account
from marketdata.derivation import derive_actions
from marketdata.lake import BarLake
from marketdata.providers.sample import SAMPLE_NAMES, SampleProvider
from marketdata.services.actions import store_actions
from marketdata.services.instruments import ensure_instruments
from tests.factories import WALL_NOW
from trading.services.bootstrap import bootstrap


@pytest.fixture(scope="session")
def sample_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the bars of the sample from the middle of 2003; nobody writes to it."""
    root = tmp_path_factory.mktemp("lake")
    BarLake(root).write(SampleProvider().bars(start=date(2003, 7, 1)), "1d", "sample")
    return root


@pytest.fixture
def market(db: None, settings: Any, sample_lake: Path) -> None:
    """The sample's bars, instruments and corporate actions."""
    settings.LAKE_DIR = sample_lake
    fill_market()


def fill_market() -> None:
    """Store the sample's instruments and corporate actions."""
    ensure_instruments(symbols=SAMPLE_NAMES)
    bars = SampleProvider().bars(start=date(2003, 7, 1))
    store_actions(actions=derive_actions(bars).actions, source="sample")


@pytest.fixture
def desk(market: None) -> Account:
    """The desk as a new installation has it."""
    return bootstrap(wall_now=WALL_NOW)
