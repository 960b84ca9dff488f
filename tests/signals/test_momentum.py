"""Momentum looks at t − 252 to t − 21 and at nothing else."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from signals.strategies.base import period_start
from signals.strategies.momentum import Momentum, MomentumParameters
from tests.signals.bars import frame, random_walk, weekdays

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")


def walks(count: int = 320) -> pl.DataFrame:
    return frame({symbol: random_walk(count, seed) for seed, symbol in enumerate(SYMBOLS)})


def test_score_is_the_return_from_twelve_months_to_one_month_ago() -> None:
    path = random_walk(300, 7)
    scores = Momentum().scores(frame({"AAA": path}), weekdays(300)[-1])
    assert scores["score"].item() == pytest.approx(path[-22] / path[-253] - 1)
    assert scores["feature_date"].item() == weekdays(300)[-1]


def test_one_session_too_few_gives_no_score() -> None:
    days = weekdays(253)
    bars = frame({"AAA": random_walk(253, 1), "BBB": random_walk(252, 2)}, days[0])
    scores = dict(Momentum().scores(bars, days[-1]).select("symbol", "score").rows())
    assert scores["AAA"] is not None
    assert scores["BBB"] is None


def test_last_month_does_not_matter_but_the_day_before_does() -> None:
    path = random_walk(300, 3)
    as_of = weekdays(300)[-1]
    base = Momentum().scores(frame({"AAA": path}), as_of)["score"].item()
    last_month = path[:-21] + [1.0] * 21
    assert Momentum().scores(frame({"AAA": last_month}), as_of)["score"].item() == base
    one_more = path[:-22] + [1.0] * 22
    assert Momentum().scores(frame({"AAA": one_more}), as_of)["score"].item() != base


@pytest.mark.parametrize("seed", range(5))
def test_what_comes_after_as_of_changes_nothing(seed: int) -> None:
    bars = walks()
    as_of = weekdays(320)[280]
    future = pl.col("date") > as_of
    altered = bars.with_columns(pl.when(future).then(pl.col("close").shuffle(seed) * 3).otherwise("close"))
    base = Momentum().scores(bars.filter(~future), as_of)
    assert Momentum().scores(bars, as_of).equals(base)
    assert Momentum().scores(altered.sample(fraction=1, shuffle=True, seed=seed), as_of).equals(base)


def test_rows_before_the_window_change_nothing() -> None:
    bars = walks()
    days = weekdays(320)
    recent = bars.filter(pl.col("date") >= days[-253])
    assert Momentum().scores(recent, days[-1]).equals(Momentum().scores(bars, days[-1]))


def test_best_names_share_the_capital() -> None:
    scores = pl.DataFrame({"symbol": ["AAA", "BBB", "CCC"], "score": [0.1, 0.3, 0.2]})
    assert Momentum().weights(scores) == {"BBB": Decimal("0.5"), "CCC": Decimal("0.5")}
    thirds = Momentum(MomentumParameters(top=3)).weights(scores)
    assert set(thirds.values()) == {Decimal("0.333333")}


def test_ties_go_to_the_alphabet_whatever_the_row_order() -> None:
    scores = pl.DataFrame({"symbol": ["CCC", "AAA", "BBB"], "score": [0.1, 0.1, 0.1]})
    assert set(Momentum().weights(scores)) == {"AAA", "BBB"}


def test_fewer_names_than_slots_leave_cash() -> None:
    scores = pl.DataFrame({"symbol": ["AAA"], "score": [0.1]})
    assert Momentum().weights(scores) == {"AAA": Decimal("0.5")}
    assert Momentum().weights(scores.clear()) == {}


def test_monthly_cadence_is_due_once_a_calendar_month() -> None:
    assert period_start(Momentum().cadence, date(2012, 3, 14)) == date(2012, 3, 1)
    assert period_start("daily", date(2012, 3, 14)) == date(2012, 3, 14)
