"""Measures of a path of equity, against numbers worked out by hand."""

from decimal import Decimal

import pytest

from trading.performance import cumulative, performance


def decimals(*values: str) -> list[Decimal]:
    return [Decimal(value) for value in values]


def test_return_and_drawdown() -> None:
    measured = performance(start=Decimal(100), equity=decimals("110", "88", "99", "121"))
    assert measured.total_return == Decimal("0.21")
    assert measured.max_drawdown == Decimal("0.2")


def test_sharpe_is_mean_by_deviation_times_root_of_the_year() -> None:
    measured = performance(start=Decimal(100), equity=decimals("101", "101"))
    # returns 1% and 0%: mean 0.005, sample deviation 0.0070710678
    assert measured.sharpe == pytest.approx(Decimal("11.2249721603"))


@pytest.mark.parametrize("equity", [[], decimals("100"), decimals("100", "100", "100")])
def test_returns_that_do_not_vary_have_no_sharpe(equity: list[Decimal]) -> None:
    measured = performance(start=Decimal(100), equity=equity)
    assert measured.sharpe is None
    assert measured.max_drawdown == measured.total_return == 0


def test_path_must_start_above_zero() -> None:
    with pytest.raises(ValueError, match="above 0"):
        performance(start=Decimal(0), equity=[])


def test_cumulative() -> None:
    assert cumulative(Decimal(10), decimals("1", "-3")) == decimals("11", "8")
