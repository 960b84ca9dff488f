"""The rows of a backtest as Parquet files, in a directory named by its random key and by nothing a caller says."""

import shutil
import uuid
from pathlib import Path
from typing import Literal

import polars as pl
from django.conf import settings

from signals.backtest.study import Study

Table = Literal["days", "orders", "decisions"]
TABLES: tuple[Table, ...] = ("days", "orders", "decisions")


class BacktestFilesMissing(Exception):
    """The rows of a backtest are not where they were written: deleted, or on another machine."""


def directory(key: uuid.UUID) -> Path:
    """Return where the rows of a backtest are."""
    return Path(settings.BACKTEST_DIR) / key.hex


def write_files(key: uuid.UUID, study: Study) -> None:
    """Write all tables, replacing what was there; a reader sees all of the old or all of the new."""
    place = directory(key)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{key.hex}-{uuid.uuid4().hex}")
    temporary.mkdir()
    for name in TABLES:
        getattr(study, name).write_parquet(temporary / f"{name}.parquet")
    delete_files(key)
    temporary.rename(place)


def read_table(key: uuid.UUID, name: Table) -> pl.DataFrame:
    """Return one table.

    :raises BacktestFilesMissing: it is not there, or not readable
    """
    path = directory(key) / f"{name}.parquet"
    try:
        return pl.read_parquet(path)
    except (FileNotFoundError, pl.exceptions.ComputeError) as error:
        raise BacktestFilesMissing(f"{name} of this backtest cannot be read: {type(error).__name__}") from error


def delete_files(key: uuid.UUID) -> None:
    """Delete what a backtest wrote; nothing happens when there is nothing."""
    shutil.rmtree(directory(key), ignore_errors=True)
