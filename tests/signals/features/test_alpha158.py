"""What holds for features whatever the bars are."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.features import FEATURES, LOOKBACK, alpha158, alpha158_by_groups, alpha158_newest, compute, feature_version
from tests.parity.exact import FAMILIES, exact
from tests.parity.universes import INVENTED, walk
from tests.signals.features.universe import same, symbols

PRICE = st.one_of(st.sampled_from([1.0, 1.5, 2.0, 100.0]), st.floats(0.01, 1e5), st.just(math.nan))
VOLUME = st.one_of(st.sampled_from([0.0, 100.0, 1e6]), st.floats(0.0, 1e9), st.just(math.nan))


@st.composite
def any_bars(draw: st.DrawFn, most: int = 80) -> pl.DataFrame:
    """Draw the bars of one symbol: prices in no order at all, many alike, some missing."""
    rows = draw(st.integers(1, most))
    column = lambda values: draw(st.lists(values, min_size=rows, max_size=rows))  # noqa: E731
    days = [date(2020, 1, 1) + timedelta(days=day) for day in range(rows)]
    prices = {name: column(PRICE) for name in ("open", "high", "low", "close")}
    return pl.DataFrame({"symbol": "X", "date": days, **prices, "volume": column(VOLUME)})


def test_one_row_and_float64_for_each_row_without_nulls() -> None:
    bars = symbols(3, 70)
    found = alpha158(bars)
    assert found.columns == ["symbol", "date", *FEATURES]
    assert found.select("symbol", "date").equals(bars.select("symbol", "date"))
    assert set(found.select(FEATURES).dtypes) == {pl.Float64}
    assert found.null_count().sum_horizontal().item() == 0


def test_no_bars_give_no_rows_and_all_columns() -> None:
    empty = symbols(1, 5).clear()
    for found in (alpha158(empty), alpha158_newest(empty)):
        assert found.shape == (0, 160)
        assert found.schema == alpha158(symbols(1, 5)).schema
    assert list(alpha158_by_groups(empty)) == []


def test_features_by_hand_of_a_short_history() -> None:
    bars = pl.DataFrame(
        {
            "symbol": ["X"] * 3,
            "date": [date(2020, 1, day) for day in (1, 2, 3)],
            "open": [10.0, 11.0, 12.0],
            "high": [12.0, 13.0, 13.0],
            "low": [9.0, 10.0, 11.0],
            "close": [11.0, 12.0, 11.5],
            "volume": [100.0, 0.0, 300.0],
        }
    )
    last = alpha158(bars).row(-1, named=True)
    assert last["KMID"] == pytest.approx(-0.5 / 12)
    assert last["KLOW2"] == pytest.approx(0.25)
    assert last["VWAP0"] == pytest.approx((13 + 11 + 11.5) / 3 / 11.5)
    assert math.isnan(last["ROC5"])
    assert last["MA5"] == pytest.approx(1.0)
    assert last["STD5"] == pytest.approx(0.5 / 11.5)
    assert last["BETA5"] == pytest.approx(0.25 / 11.5)
    assert last["RSQR5"] == pytest.approx(0.25)
    assert last["RESI5"] == pytest.approx(-0.25 / 11.5)
    assert last["RANK5"] == pytest.approx(2 / 3)
    assert (last["IMAX5"], last["IMIN5"], last["IMXD5"]) == (2 / 5, 1 / 5, 1 / 5)  # of equal highs the first
    assert (last["CNTP5"], last["CNTN5"]) == pytest.approx((1 / 3, 1 / 3))  # the first day counts as neither
    assert (last["SUMP5"], last["SUMN5"]) == pytest.approx((2 / 3, 1 / 3))
    assert last["VSUMP5"] == pytest.approx(0.75)
    assert math.isnan(last["CORD5"])  # a change from nothing is left out, and one change is no correlation


@pytest.mark.parametrize("kind", INVENTED)
def test_sg1_newest_row_of_live_bars_is_the_row_of_the_whole_history(kind: str) -> None:
    bars = pl.concat([INVENTED[kind](f"X{seed}", seed) for seed in range(3)])
    whole = alpha158(bars).group_by("symbol", maintain_order=True).tail(1)
    live = bars.group_by("symbol", maintain_order=True).tail(LOOKBACK)
    assert same(alpha158_newest(live), whole)
    assert same(alpha158(live).group_by("symbol", maintain_order=True).tail(1), whole)
    assert same(alpha158_newest(bars), whole)


def test_a_row_less_than_lookback_is_not_enough() -> None:
    bars = symbols(1, 100)
    whole = alpha158(bars).tail(1)
    assert not same(alpha158_newest(bars.tail(LOOKBACK - 1)), whole)


def test_one_row_and_a_repeated_value_are_divided_like_all_others() -> None:
    """Polars divides by a single number in another way than by a column, with another last digit."""
    bars = symbols(30, 5).with_columns(open=pl.lit(0.3), volume=pl.lit(0.7))
    spelt_out = bars.with_columns(pl.Series(name, bars[name].to_list()) for name in ("open", "volume"))
    assert same(alpha158(bars), alpha158(spelt_out))
    firsts = alpha158(bars).group_by("symbol", maintain_order=True).head(1)
    alone = [alpha158(row) for row in bars.group_by("symbol", maintain_order=True).head(1).iter_slices(1)]
    assert same(pl.concat(alone), firsts)


@settings(max_examples=40, deadline=None)
@given(bars=any_bars(), cut=st.integers(1, 80), seed=st.integers(0, 2**32 - 1))
def test_nothing_after_a_date_changes_what_was_before(bars: pl.DataFrame, cut: int, seed: int) -> None:
    cut = min(cut, bars.height)
    chance = np.random.default_rng(seed)
    late = bars[cut:].select(pl.exclude("symbol", "date")).sample(fraction=1.0, shuffle=True, seed=seed % 2**31)
    late = late.with_columns(close=pl.Series(chance.uniform(1, 9, late.height), dtype=pl.Float64))
    other = pl.concat([bars[:cut], bars[cut:].select("symbol", "date").hstack(late)])
    known = alpha158(bars[:cut])
    assert same(alpha158(other)[:cut], known)
    assert same(alpha158(bars)[:cut], known)


@settings(max_examples=25, deadline=None)
@given(one=any_bars(), other=any_bars())
def test_other_symbols_and_their_order_do_not_matter(one: pl.DataFrame, other: pl.DataFrame) -> None:
    other = other.with_columns(symbol=pl.lit("Y"))
    alone = alpha158(one)
    assert same(alpha158(pl.concat([one, other])).head(one.height), alone)
    assert same(alpha158(pl.concat([other, one])).tail(one.height), alone)


@settings(max_examples=15, deadline=None)
@given(bars=any_bars(most=30), data=st.data())
def test_values_agree_with_exact_arithmetic(bars: pl.DataFrame, data: st.DataObject) -> None:
    family, window = data.draw(st.sampled_from(FAMILIES)), data.draw(st.sampled_from((5, 10, 20)))
    row = data.draw(st.integers(0, bars.height - 1))
    mine = alpha158(bars)[f"{family}{window}"][row]
    truth = exact(family, window, bars[: row + 1].tail(window + 1))
    if math.isnan(truth):
        assert not math.isfinite(mine)
    else:
        assert mine == pytest.approx(truth, rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(bars=any_bars(), data=st.data())
def test_order_statistics_agree_with_sorting(bars: pl.DataFrame, data: st.DataObject) -> None:
    window = data.draw(st.sampled_from((5, 10, 20, 30, 60)))
    row = data.draw(st.integers(0, bars.height - 1))
    found = alpha158(bars).row(row, named=True)
    rows = bars[: row + 1].tail(window)
    close = rows["close"].to_numpy()
    known = close[~np.isnan(close)]
    if not np.isnan(close[-1]):
        assert found[f"QTLU{window}"] * close[-1] == pytest.approx(np.quantile(known, 0.8), rel=1e-12)
        assert found[f"QTLD{window}"] * close[-1] == pytest.approx(np.quantile(known, 0.2), rel=1e-12)
        share = ((known < close[-1]).sum() + ((known == close[-1]).sum() + 1) / 2) / len(known)
        assert found[f"RANK{window}"] == pytest.approx(share, rel=1e-12)
    high, low = rows["high"].to_numpy(), rows["low"].to_numpy()
    if not np.isnan(high).all():
        assert found[f"IMAX{window}"] == (high.argmax() + 1) / window
    if not np.isnan(low).all():
        assert found[f"IMIN{window}"] == (low.argmin() + 1) / window


def test_groups_are_cut_between_symbols_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = pl.concat([symbols(4, 90), walk("Z", 700, 5), walk("ZZ", 1, 6)])
    whole = alpha158(bars)
    monkeypatch.setattr(compute, "CHUNK_ROWS", 200)
    groups = list(alpha158_by_groups(bars))
    assert [group["symbol"].unique(maintain_order=True).to_list() for group in groups] == [
        ["X000", "X001"], ["X002", "X003"], ["Z"], ["ZZ"],
    ]  # fmt: skip
    assert same(pl.concat(groups), whole)
    assert same(alpha158(bars), whole)


def test_a_given_vwap_is_used_and_other_columns_are_not() -> None:
    bars = symbols(1, 8)
    found = alpha158(bars.with_columns(vwap=pl.col("close") * 2, source=pl.lit("test")))
    assert found["VWAP0"].to_list() == [2.0] * 8
    assert found.drop("VWAP0").equals(alpha158(bars).drop("VWAP0"), null_equal=True)


def test_nulls_are_missing_values_and_whole_numbers_are_numbers() -> None:
    bars = symbols(1, 70).with_columns(pl.col("volume").cast(pl.Int64))
    gone = pl.col("date") == bars["date"][65]
    null = bars.with_columns(pl.when(gone).then(None).otherwise(pl.col("close")).alias("close"))
    nan = bars.with_columns(pl.when(gone).then(math.nan).otherwise(pl.col("close")).alias("close"))
    assert same(alpha158(null), alpha158(nan))


def test_the_version_is_of_the_sources() -> None:
    assert feature_version() == feature_version()
    assert len(feature_version()) == 12
    int(feature_version(), 16)
