"""Mean reversion enters far out, leaves inside, and remembers through the path of z alone."""

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.strategies.mean_reversion import MeanReversion, MeanReversionParameters
from tests.signals.bars import frame, random_walk, weekdays

ROWS = 125


def sides_by_hand(path: list[float], settings: MeanReversionParameters) -> tuple[float, int]:
    """Return the last z and the side held, walked with plain loops."""
    week, window = settings.return_sessions, settings.distribution_sessions
    path = path[-ROWS:]
    moves = [path[i] / path[i - week] - 1 for i in range(week, len(path))]
    side, z = 0, 0.0
    for end in range(window, len(moves) + 1):
        values = moves[end - window : end]
        mean = sum(values) / window
        deviation = (sum((value - mean) ** 2 for value in values) / (window - 1)) ** 0.5
        z = (values[-1] - mean) / deviation
        if (side == 1 and z >= -settings.leave) or (side == -1 and z <= settings.leave):
            side = 0
        if z <= -settings.enter:
            side = 1
        elif z >= settings.enter:
            side = -1
    return z, side


@pytest.mark.parametrize("seed", range(40))
def test_score_agrees_with_a_walk_by_hand(seed: int) -> None:
    path = random_walk(200, seed)
    z, side = sides_by_hand(path, MeanReversionParameters())
    score = MeanReversion().scores(frame({"AAA": path}), weekdays(200)[-1])["score"].item()
    assert score == pytest.approx(-z * abs(side), abs=1e-6)
    assert (score > 0) - (score < 0) == side


def test_a_fall_is_bought_and_a_jump_is_sold() -> None:
    quiet = random_walk(195, 4)
    bars = frame({"DOWN": quiet + [quiet[-1] * 0.7] * 3, "UP": quiet + [quiet[-1] * 1.4] * 3})
    scores = dict(MeanReversion().scores(bars, weekdays(198)[-1]).select("symbol", "score").rows())
    assert scores["DOWN"] > 1.25
    assert scores["UP"] < -1.25


def test_too_little_history_gives_no_score_and_constant_prices_give_nan() -> None:
    days = weekdays(70)
    bars = pl.concat([frame({"FLAT": [50.0] * 70}), frame({"NEW": random_walk(64, 1)}, days[6])])
    scores = dict(MeanReversion().scores(bars, days[-1]).select("symbol", "score").rows())
    assert scores["NEW"] is None
    assert scores["FLAT"] != scores["FLAT"]


@pytest.mark.parametrize("seed", range(5))
def test_what_comes_after_as_of_changes_nothing(seed: int) -> None:
    bars = frame({symbol: random_walk(220, index) for index, symbol in enumerate(("AAA", "BBB", "CCC"))})
    as_of = weekdays(220)[180]
    future = pl.col("date") > as_of
    altered = bars.with_columns(pl.when(future).then(pl.col("close").shuffle(seed) * 3).otherwise("close"))
    base = MeanReversion().scores(bars.filter(~future), as_of)
    assert MeanReversion().scores(bars, as_of).equals(base)
    assert MeanReversion().scores(altered.sample(fraction=1, shuffle=True, seed=seed), as_of).equals(base)


def test_rows_before_the_lookback_change_nothing() -> None:
    bars = frame({"AAA": random_walk(400, 9)})
    days = weekdays(400)
    recent = bars.filter(pl.col("date") >= days[-ROWS])
    wide, narrow = (MeanReversion().scores(rows, days[-1])["score"].item() for rows in (bars, recent))
    assert wide == pytest.approx(narrow, abs=1e-9)


@given(st.dictionaries(st.text("ABCDEF", min_size=1, max_size=3), st.floats(-9, 9), max_size=12))
def test_gross_never_passes_one(scores: dict[str, float]) -> None:
    rows = pl.DataFrame(
        {"symbol": list(scores), "score": list(scores.values())}, schema={"symbol": pl.String, "score": pl.Float64}
    )
    weights = MeanReversion().weights(rows)
    assert sum((abs(weight) for weight in weights.values()), Decimal(0)) <= 1
    assert all((weight > 0) == (scores[symbol] > 0) for symbol, weight in weights.items())
