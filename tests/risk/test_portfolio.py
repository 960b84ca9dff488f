"""Value at risk and its relatives against closed forms and against numpy."""

import math
import random
from datetime import date, timedelta
from decimal import Decimal
from statistics import NormalDist

import numpy as np
import pytest

from risk.portfolio import Confidence, Holding, beta, correlation, correlation_matrix, daily_returns, measure
from risk.portfolio.exposure import NO_SECTOR, exposure_parts
from risk.portfolio.report import FEWEST, LOOKBACK
from risk.portfolio.statistics import covariance, deviation, mean
from risk.portfolio.value_at_risk import (
    historical_shortfall,
    historical_var,
    parametric_shortfall,
    parametric_var,
)
from tests.risk.cases import D

START = date(2011, 1, 3)
NEAR = 1e-9


def sample(count, seed, scale="0.01"):
    rng = random.Random(seed)
    return [D(str(round(rng.gauss(0.0005, float(scale)), 8))) for _ in range(count)]


def floats(values):
    return np.array([float(value) for value in values])


def closes(count, seed, start=START):
    price, rows = D(100), []
    for number, change in enumerate([D(0), *sample(count - 1, seed)]):
        price *= 1 + change
        rows.append((start + timedelta(days=number), price))
    return rows


def test_means_deviations_and_covariances_are_numpys():
    first, second = sample(251, 1), sample(251, 2)
    assert float(mean(first)) == pytest.approx(floats(first).mean(), rel=NEAR)
    assert float(deviation(first)) == pytest.approx(floats(first).std(ddof=1), rel=NEAR)
    assert float(covariance(first, second)) == pytest.approx(np.cov(floats(first), floats(second))[0, 1], rel=NEAR)
    assert float(correlation(first, second)) == pytest.approx(
        np.corrcoef(floats(first), floats(second))[0, 1], rel=NEAR
    )
    slope = np.polyfit(floats(second), floats(first), 1)[0]
    assert float(beta(first, second)) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("confidence", list(Confidence))
def test_the_constants_are_those_of_the_normal_distribution(confidence):
    normal, level = NormalDist(), float(confidence.level)
    z = normal.inv_cdf(level)
    assert float(confidence.quantile) == pytest.approx(z, abs=1e-12)
    assert float(confidence.tail_mean) == pytest.approx(normal.pdf(z) / (1 - level), abs=1e-12)


@pytest.mark.parametrize("confidence", list(Confidence))
@pytest.mark.parametrize("count", [1, 19, 20, 21, 99, 100, 101, 250])
def test_the_historical_var_is_numpys_quantile_without_interpolation(confidence, count):
    profits = sample(count, count)
    losses = -floats(profits)
    quantile = np.quantile(losses, float(confidence.level), method="inverted_cdf")
    assert float(historical_var(profits, confidence)) == pytest.approx(quantile, rel=NEAR)
    worse = losses[losses >= quantile - 1e-15]
    assert float(historical_shortfall(profits, confidence)) == pytest.approx(worse.mean(), rel=NEAR)


def test_a_hundred_losses_of_one_to_a_hundred():
    profits = [D(-number) for number in range(1, 101)]
    assert historical_var(profits, Confidence.P95) == 95
    assert historical_shortfall(profits, Confidence.P95) == mean([D(n) for n in range(95, 101)])
    assert historical_var(profits, Confidence.P99) == 99


@pytest.mark.parametrize("confidence", list(Confidence))
def test_the_parametric_var_is_the_closed_form(confidence):
    profits = sample(250, 7)
    mu, sigma = floats(profits).mean(), floats(profits).std(ddof=1)
    z = NormalDist().inv_cdf(float(confidence.level))
    assert float(parametric_var(profits, confidence)) == pytest.approx(z * sigma - mu, rel=NEAR)
    shortfall = sigma * NormalDist().pdf(z) / (1 - float(confidence.level)) - mu
    assert float(parametric_shortfall(profits, confidence)) == pytest.approx(shortfall, rel=NEAR)
    doubled = parametric_var(profits, confidence, volatility=D(2))
    assert float(doubled) == pytest.approx(2 * z * sigma - mu, rel=NEAR)


def test_the_variance_of_the_profits_is_the_quadratic_form_of_the_covariances():
    rows = {"A": sample(250, 1), "B": sample(250, 2), "C": sample(250, 3)}
    weights = np.array([40_000.0, -25_000.0, 10_000.0])
    profits = [40_000 * a - 25_000 * b + 10_000 * c for a, b, c in zip(*rows.values(), strict=True)]
    matrix = np.cov(np.array([floats(series) for series in rows.values()]))
    assert float(deviation(profits)) == pytest.approx(math.sqrt(weights @ matrix @ weights), rel=1e-8)


def test_shortfall_is_never_less_than_var():
    for seed in range(20):
        profits = sample(120, seed)
        for confidence in Confidence:
            assert historical_shortfall(profits, confidence) >= historical_var(profits, confidence)
            assert parametric_shortfall(profits, confidence) >= parametric_var(profits, confidence)


def test_nothing_can_be_said_of_no_days():
    for function in (historical_var, historical_shortfall, parametric_var, parametric_shortfall):
        with pytest.raises(ValueError):
            function([], Confidence.P95)


def test_a_series_that_stands_has_no_correlation_and_no_beta():
    still, moving = [D(0)] * 10, sample(10, 1)
    assert correlation(still, moving) is None
    assert beta(moving, still) is None
    assert correlation(moving, moving) == pytest.approx(D(1))
    assert correlation(moving, [-value for value in moving]) == pytest.approx(D(-1))


def test_pairs_are_named_in_the_order_of_the_alphabet():
    assert list(correlation_matrix({"B": sample(9, 1), "A": sample(9, 2), "C": sample(9, 3)})) == [
        ("A", "B"),
        ("A", "C"),
        ("B", "C"),
    ]


def test_returns_are_of_the_days_that_all_names_have():
    days = [START + timedelta(days=number) for number in range(4)]
    table = daily_returns(
        {
            "A": [(days[0], D(100)), (days[1], D("NaN")), (days[2], D(110)), (days[3], D(121))],
            "B": [(days[0], D(10)), (days[1], D(11)), (days[2], D(12)), (days[3], D(0))],
        }
    )
    assert table.dates == (days[2],)
    assert table.of == {"A": (D("0.1"),), "B": (D("0.2"),)}
    assert daily_returns({}).dates == ()


def report(**values):
    history = {symbol: closes(300, seed) for seed, symbol in enumerate(sorted(values), start=1)}
    holdings = [Holding(symbol=symbol, value=D(value), sector="tech") for symbol, value in values.items()]
    return measure(holdings, history, market="all", market_closes=history), history


def test_a_portfolio_of_one_name_has_its_beta_to_itself():
    found, history = report(AAPL=10_000)
    assert found.betas["AAPL"] == pytest.approx(D(1))
    assert found.portfolio_beta == pytest.approx(D(1))
    assert (found.sessions, found.as_of, found.covered) == (LOOKBACK, history["AAPL"][-1][0], 1)
    by_name = {one.name: one.profit for one in found.stress}
    assert by_name["market_minus_10"] == pytest.approx(D(-1_000))
    assert by_name["market_minus_20"] == pytest.approx(D(-2_000))
    assert by_name["single_name_30"] == -3_000
    assert by_name["volatility_doubles"] < -found.tails[0].parametric_var
    worst = [by_name[f"worst_day_{number}"] for number in (1, 2, 3)]
    assert worst == sorted(worst)
    assert worst[0] == pytest.approx(10_000 * min(daily_returns(history).of["AAPL"]))


def test_a_short_loses_when_its_name_rises_and_gains_when_the_market_falls():
    found, _ = report(AAPL=-10_000)
    by_name = {one.name: one for one in found.stress}
    assert by_name["market_minus_10"].profit > 0
    assert by_name["single_name_30"].profit == -3_000
    assert by_name["single_name_30"].label == "AAPL rises by 30%"


def test_a_hedged_book_has_less_var_than_its_long_side():
    assert report(AAPL=10_000)[0].tails[0].historical_var < report(AAPL=20_000)[0].tails[0].historical_var
    twice = closes(300, 1)
    pair = {"A": twice, "B": twice}
    flat = measure(
        [Holding(symbol="A", value=D(5_000)), Holding(symbol="B", value=D(-5_000))],
        pair,
        market="all",
        market_closes=pair,
    )
    assert {tail.historical_var for tail in flat.tails} == {0}
    assert flat.correlations[("A", "B")] == pytest.approx(D(1))


def test_names_without_history_are_said_and_not_guessed():
    history = {"AAPL": closes(300, 1), "NEW": closes(FEWEST, 2)}
    holdings = [Holding(symbol="AAPL", value=D(9_000)), Holding(symbol="NEW", value=D(1_000))]
    found = measure(holdings, history, market="all", market_closes=history)
    assert found.unmeasured == ("NEW",)
    assert found.covered == Decimal("0.9")
    assert {part.name for part in found.by_name} == {"AAPL", "NEW"}
    assert "NEW" not in found.betas


def test_an_empty_book_and_an_empty_lake_have_an_answer():
    empty = measure([], {}, market="all", market_closes={})
    assert (empty.tails, empty.stress, empty.by_name, empty.as_of) == ((), (), [], None)
    alone = measure([Holding(symbol="AAPL", value=D(1))], {}, market="none", market_closes={})
    assert (alone.tails, alone.unmeasured, alone.covered) == ((), ("AAPL",), 0)
    assert {one.name for one in alone.stress} == {"market_minus_10", "market_minus_20", "single_name_30"}


def test_exposure_is_summed_by_what_it_is_called():
    parts = exposure_parts([("tech", D(100)), (NO_SECTOR, D(-300)), ("tech", D(-50))])
    assert [(part.name, part.gross, part.net) for part in parts] == [(NO_SECTOR, 300, -300), ("tech", 150, 50)]
