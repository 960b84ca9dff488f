"""A lake with invented bars for backtests."""

from pathlib import Path
from typing import Any

import pytest

from marketdata.lake import BarLake, default_lake
from marketdata.services.instruments import ensure_instruments
from tests.signals.backtest.universes import SYMBOLS, raw_bars


@pytest.fixture
def lake(db: None, settings: Any, tmp_path: Path) -> BarLake:
    """Four instruments with eighteen months of bars, and a room of their own for the rows of backtests."""
    settings.LAKE_DIR, settings.BACKTEST_DIR = tmp_path / "lake", tmp_path / "backtests"
    ensure_instruments(symbols=SYMBOLS)
    default_lake().write(raw_bars(), "1d", "test")
    return default_lake()
