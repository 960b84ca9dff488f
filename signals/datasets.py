"""Rows to learn from, in the order of time: train, then a gap, then validation, then a gap, then test.

A row belongs to a split only when its whole label does: the close of t + 2 is not after the split's last session. What
lies between two splits (`embargo`, in sessions) belongs to none, so that nothing of what one split's rows look back on
or forward to is next to the other's.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from signals.errors import SignalError
from signals.labels import HORIZON, HORIZONS, forward_returns, normalised_by_day, session_days, with_session_number

EMBARGO = 5
"""Sessions between two splits."""
SPLITS = ("train", "valid", "test")
VALID_SHARE, TEST_SHARE = 0.15, 0.15
FEWEST_SESSIONS = 10
"""Sessions that a split must have; a correlation over fewer days says nothing."""


class DatasetError(SignalError):
    """The dates, splits or columns of a dataset do not fit together."""

    code = "dataset"


@dataclass(frozen=True, slots=True)
class Span:
    """First and last session of a split, both included."""

    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Splits:
    """When each split begins and ends."""

    train: Span
    valid: Span
    test: Span
    embargo: int = EMBARGO

    def spans(self) -> dict[str, Span]:
        """Return the three by name, in the order of time."""
        return {"train": self.train, "valid": self.valid, "test": self.test}


@dataclass(frozen=True)
class Dataset:
    """Features, label and target of every row, and the split it belongs to.

    `frame` has `symbol, date, session, <features>, label, target, forward_H…, split`, sorted by date and symbol;
    `split` is null for rows of the gaps and rows whose label is unknown or reaches out of their split. `label` is the
    plain return, `target` its z-score of the day. `forward_H` is null where it would reach out of the split.
    """

    frame: pl.DataFrame
    features: tuple[str, ...]
    feature_version: str
    splits: Splits

    def part(self, name: str) -> pl.DataFrame:
        """Return the rows of one split."""
        if name not in SPLITS:
            raise DatasetError(f"split: got {name!r}, allowed are {', '.join(SPLITS)}")
        return self.frame.filter(pl.col("split") == name)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the symbols with at least one row in a split, sorted."""
        return tuple(self.frame.filter(pl.col("split").is_not_null())["symbol"].unique().sort().to_list())

    @cached_property
    def data_hash(self) -> str:
        """Return the SHA-256 over keys, features, labels and splits."""
        digest = hashlib.sha256("\n".join(self.features).encode())
        digest.update("\n".join(self.frame["symbol"].to_list()).encode())
        digest.update(self.frame["date"].to_physical().to_numpy().tobytes())
        for column in (*self.features, "label"):
            values = np.nan_to_num(self.frame[column].cast(pl.Float64).to_numpy(), nan=np.nan)
            digest.update(np.ascontiguousarray(values).tobytes())
        digest.update("\n".join(split or "" for split in self.frame["split"].to_list()).encode())
        return digest.hexdigest()

    def described(self) -> dict[str, Any]:
        """Return dates, rows and embargo of the splits, fit for JSON."""
        counts = dict(self.frame["split"].drop_nulls().value_counts().rows())
        spans = {
            name: {"start": span.start.isoformat(), "end": span.end.isoformat(), "rows": counts.get(name, 0)}
            for name, span in self.splits.spans().items()
        }
        return {**spans, "embargo_sessions": self.splits.embargo, "label_sessions": HORIZON}


def make_dataset(
    features: pl.DataFrame,
    bars: pl.DataFrame,
    *,
    names: Sequence[str],
    feature_version: str,
    splits: Splits | None = None,
) -> Dataset:
    """Join features with the labels of the same bars and assign the splits (default: 70, 15 and 15% of the sessions).

    `bars` may begin before the first split, for the features' sake; no close after the last split is looked at.
    :raises DatasetError: a column is missing, a row is there twice, splits overlap or a split has no rows
    """
    _require_columns(features, ["symbol", "date", *names])
    if features.select("symbol", "date").is_duplicated().any():
        raise DatasetError("features: a symbol has two rows on one date, allowed is one")
    days = session_days(features)
    chosen = splits or splits_of(days)
    _require_order(chosen, days)
    known = bars.filter(pl.col("date") <= chosen.test.end)
    returns = forward_returns(known, horizons=HORIZONS).with_columns(label=pl.col("forward_1"))
    rows = with_session_number(features.select("symbol", "date", *names)).join(
        returns, on=["symbol", "date"], how="left"
    )
    frame = _assigned(rows, chosen, days)
    frame = normalised_by_day(frame).with_columns(split=pl.when(pl.col("target").is_not_null()).then(pl.col("split")))
    dataset = Dataset(frame.sort("date", "symbol"), tuple(names), feature_version, chosen)
    for name in SPLITS:
        if dataset.part(name).is_empty():
            span = chosen.spans()[name]
            raise DatasetError(
                f"{name}: no row with a label from {span.start} to {span.end}; two names a day are needed"
            )
    return dataset


def splits_of(
    days: Sequence[date], *, valid: float = VALID_SHARE, test: float = TEST_SHARE, embargo: int = EMBARGO
) -> Splits:
    """Return splits over ascending sessions: what validation, test and the two gaps leave is for training.

    :raises DatasetError: too few sessions
    """
    _require_embargo(embargo)
    valid_days, test_days = int(len(days) * valid), int(len(days) * test)
    train_days = len(days) - valid_days - test_days - 2 * embargo
    if min(train_days, valid_days, test_days) < FEWEST_SESSIONS:
        raise DatasetError(
            f"{len(days)} sessions leave {train_days} for train, {valid_days} for valid and {test_days} for test; "
            f"each needs {FEWEST_SESSIONS}"
        )
    valid_from = train_days + embargo
    test_from = valid_from + valid_days + embargo
    return Splits(
        Span(days[0], days[train_days - 1]),
        Span(days[valid_from], days[valid_from + valid_days - 1]),
        Span(days[test_from], days[-1]),
        embargo,
    )


def _assigned(rows: pl.DataFrame, splits: Splits, days: list[date]) -> pl.DataFrame:
    """Add `split`, and take away every forward return that would reach out of it."""
    split, last = pl.lit(None, dtype=pl.String), pl.lit(None, dtype=pl.Int64)
    for name, span in splits.spans().items():
        inside = pl.col("date").is_between(span.start, span.end)
        split = pl.when(inside).then(pl.lit(name)).otherwise(split)
        last = pl.when(inside).then(pl.lit(_last_index(days, span.end))).otherwise(last)
    rows = rows.with_columns(split=split, last=last)
    columns = {"label": HORIZON, **{f"forward_{horizon}": 1 + horizon for horizon in HORIZONS}}
    return rows.with_columns(
        pl.when(pl.col("session") + reach <= pl.col("last")).then(pl.col(column)).alias(column)
        for column, reach in columns.items()
    ).drop("last")


def _last_index(days: list[date], end: date) -> int:
    return sum(day <= end for day in days) - 1


def _require_columns(frame: pl.DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise DatasetError(f"features: {len(missing)} columns are missing: {', '.join(missing[:5])}")


def _require_embargo(embargo: int) -> None:
    if embargo < HORIZON:
        raise DatasetError(f"embargo: got {embargo} sessions, allowed are {HORIZON} or more (the label's horizon)")


def _require_order(splits: Splits, days: list[date]) -> None:
    _require_embargo(splits.embargo)
    spans = list(splits.spans().items())
    for name, span in spans:
        if span.end < span.start:
            raise DatasetError(f"{name}: ends on {span.end}, before its start on {span.start}")
    for (before, first), (after, second) in pairwise(spans):
        between = sum(first.end < day < second.start for day in days)
        if second.start <= first.end or between < splits.embargo:
            raise DatasetError(
                f"{after} begins on {second.start}, {between} sessions after {before} ends on {first.end}; "
                f"the embargo is {splits.embargo}"
            )
