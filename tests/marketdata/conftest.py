from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from marketdata.lake import BarLake, default_lake
from marketdata.providers.sample import SampleProvider

WALL = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def sample() -> pl.DataFrame:
    return SampleProvider().bars()


@pytest.fixture
def lake(tmp_path: Path, settings: object) -> Iterator[BarLake]:
    """An empty lake, which is also the default one."""
    settings.LAKE_DIR = tmp_path / "lake"  # type: ignore[attr-defined]
    yield default_lake()
