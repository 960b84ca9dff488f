from pathlib import Path

import polars as pl
import pytest

from marketdata.lake import BarLake, default_lake
from marketdata.providers.sample import SampleProvider


@pytest.fixture(scope="session")
def sample() -> pl.DataFrame:
    return SampleProvider().bars()


@pytest.fixture
def lake(tmp_path: Path, settings: object) -> BarLake:
    """An empty lake, which is also the default one."""
    settings.LAKE_DIR = tmp_path / "lake"
    return default_lake()
