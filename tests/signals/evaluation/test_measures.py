"""The measures of a score against plain loops and known cases."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from signals.evaluation import (
    daily_ic,
    daily_quantiles,
    daily_turnover,
    evaluate,
    information,
    information_decay,
    long_short,
    quantile_means,
)

DAY = date(2012, 1, 2)


def frame(rows: list[tuple[int, str, float | None, float | None]]) -> pl.DataFrame:
    schema = {"date": pl.Date, "symbol": pl.String, "score": pl.Float64, "label": pl.Float64}
    return pl.DataFrame([(DAY + timedelta(day), *rest) for day, *rest in rows], schema=schema, orient="row")


def noise(days: int = 30, names: int = 11, seed: int = 5) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    rows = []
    for day in range(days):
        score = random.normal(size=names).round(1)  # with ties
        label = 0.3 * score + random.normal(size=names)
        rows += [(day, f"S{index:02d}", score[index], label[index]) for index in range(names)]
    return frame(rows)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_daily_coefficients_equal_scipys(method):
    told = daily_ic(noise(), method=method)
    ask = stats.pearsonr if method == "pearson" else stats.spearmanr
    for day, ic, names in told.rows():
        rows = noise().filter(pl.col("date") == day)
        assert ic == pytest.approx(ask(rows["score"].to_numpy(), rows["label"].to_numpy()).statistic, abs=1e-12)
        assert names == 11


def test_information_is_mean_deviation_and_their_ratio():
    daily = pl.DataFrame({"date": [DAY, DAY, DAY, DAY], "ic": [0.1, 0.3, -0.1, None]})
    told = information(daily)
    assert told.mean == pytest.approx(0.1)
    assert told.deviation == pytest.approx(0.2)
    assert told.icir == pytest.approx(0.5)
    assert told.t == pytest.approx(0.5 * math.sqrt(3))
    assert told.positive == pytest.approx(2 / 3)
    assert told.days == 3


@pytest.mark.parametrize(
    "rows",
    [
        [(0, "A", 1.0, 0.1)],
        [(0, "A", 1.0, 0.1), (0, "B", 1.0, 0.2)],
        [(0, "A", 1.0, 0.1), (0, "B", 2.0, 0.1)],
        [(0, "A", None, 0.1), (0, "B", 2.0, 0.2)],
        [(0, "A", 1.0, float("nan")), (0, "B", float("inf"), 0.2), (0, "C", 1.0, 0.3)],
        [],
    ],
)
def test_a_day_that_compares_nothing_has_no_coefficient(rows):
    told = information(daily_ic(frame(rows)))
    assert (told.mean, told.icir, told.days) == (None, None, 0)


def test_constant_scores_with_the_noise_of_a_mean_have_no_coefficient():
    rows = [(0, f"S{index}", 0.1 + 0.2, 0.01 * index) for index in range(7)]
    assert information(daily_ic(frame(rows))).days == 0


def test_quantiles_go_from_the_lowest_score_to_the_highest():
    rows = [(0, f"S{index}", float(index), index / 10) for index in range(10)]
    told = quantile_means(daily_quantiles(frame(rows)))
    assert [row["quantile"] for row in told] == [1, 2, 3, 4, 5]
    assert [row["mean"] for row in told] == [pytest.approx(value) for value in (0.05, 0.25, 0.45, 0.65, 0.85)]
    assert all(row["rows"] == 2 and row["days"] == 1 for row in told)


def test_days_with_fewer_names_than_quantiles_are_left_out():
    rows = [(0, f"S{index}", float(index), 0.1) for index in range(4)]
    assert daily_quantiles(frame(rows)).is_empty()
    told = long_short(daily_quantiles(frame(rows)))
    assert (told.mean, told.sharpe, told.days) == (None, None, 0)


def test_top_minus_bottom_is_annualised_by_252_sessions():
    by_hand = []
    for day in range(30):
        rows = noise().filter(pl.col("date") == DAY + timedelta(day)).sort("score", "symbol")["label"].to_numpy()
        place = np.arange(11) * 5 // 11
        by_hand.append(rows[place == 4].mean() - rows[place == 0].mean())
    told = long_short(daily_quantiles(noise()))
    assert told.mean == pytest.approx(np.mean(by_hand))
    assert told.sharpe == pytest.approx(np.mean(by_hand) / np.std(by_hand, ddof=1) * math.sqrt(252))
    assert told.days == 30


def test_turnover_counts_the_names_that_are_new_at_their_end():
    first = [(0, name, float(place), 0.0) for place, name in enumerate("ABCDE")]
    same = [(1, name, float(place), 0.0) for place, name in enumerate("ABCDE")]
    turned = [(2, name, float(-place), 0.0) for place, name in enumerate("ABCDE")]
    half = [(3, name, float(place), 0.0) for place, name in enumerate("BACDE"[::-1])]
    told = daily_turnover(frame(first + same + turned + half))
    assert told["turnover"].to_list() == [0.0, 1.0, 0.5]


def test_decay_follows_the_named_returns():
    rows = noise().with_columns(later=-pl.col("label"))
    told = information_decay(rows, returns={1: "label", 5: "later"})
    assert told[1].mean == pytest.approx(-told[5].mean)


def test_the_report_is_fit_for_json_whatever_it_is_given():
    import json

    for rows in (noise(), frame([]), frame([(0, "A", 1.0, 0.1)])):
        told = evaluate(rows, returns={1: "label"})
        json.dumps(told, allow_nan=False)
        assert told["rows"] == rows.height
    curve = evaluate(noise(days=200))["rank_ic_curve"]
    assert len(curve) <= 61
    assert curve[-1]["sum"] == pytest.approx(daily_ic(noise(days=200), method="spearman")["ic"].sum())


@pytest.mark.parametrize(("names", "count"), [(4, 2), (5, 2), (6, 3), (9, 3), (10, 5), (300, 5)])
def test_few_names_are_sorted_into_fewer_quantiles(names, count):
    rows = [(0, f"S{index:03d}", float(index), index / 10) for index in range(names)]
    told = evaluate(frame(rows))
    assert (told["quantile_count"], len(told["quantiles"])) == (count, count)
