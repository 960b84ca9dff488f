"""The stored part of Qlib's values; `make parity` compares with all of them."""

import numpy as np
import polars as pl
import pytest

from signals.features import FEATURES
from tests.parity import compare, reference
from tests.parity.compare import Verdict, bound


@pytest.fixture(scope="module")
def theirs() -> pl.DataFrame:
    return pl.read_parquet(reference.VALUES)


@pytest.fixture(scope="module")
def verdicts(theirs: pl.DataFrame) -> dict[str, Verdict]:
    return compare.compare("stored", pl.read_parquet(reference.BARS), theirs)


def test_names_and_their_order_are_qlibs(theirs: pl.DataFrame) -> None:
    assert tuple(theirs.columns) == ("symbol", "date", *FEATURES)
    assert len(FEATURES) == 158


@pytest.mark.parametrize("feature", FEATURES)
def test_sg1_feature_equals_qlibs_value(feature: str, verdicts: dict[str, Verdict]) -> None:
    """Equal to the bound, or Qlib is off and exact arithmetic agrees with ours (few cells of constant prices)."""
    verdict = verdicts[feature]
    assert verdict.wrong == []
    assert verdict.worst <= bound(feature)
    assert verdict.rounded <= 0.1 * verdict.cells


def test_the_reference_has_values_and_gaps_of_every_feature(theirs: pl.DataFrame) -> None:
    for feature in FEATURES:
        column = theirs[feature]
        assert column.is_nan().any() or feature.startswith("CNT"), feature
        assert column.is_finite().sum() > 50, feature
    assert sum(path.stat().st_size for path in (reference.BARS, reference.VALUES)) < 300_000


def test_a_difference_or_another_gap_is_found(theirs: pl.DataFrame) -> None:
    """Control: what is judged equal would be judged wrong if it were changed a little."""
    bars = pl.read_parquet(reference.BARS)
    place = int(np.flatnonzero(theirs["MA20"].is_finite().to_numpy())[30])
    for value in (theirs["MA20"][place] * (1 + 1e-8), float("nan")):
        column = theirs["MA20"].to_numpy().copy()
        column[place] = value
        found = compare.compare("changed", bars, theirs.with_columns(MA20=pl.Series(column)))["MA20"]
        assert len(found.wrong) == 1
        assert not found.holds()
