"""Numbers and times are written one way."""

from datetime import UTC, datetime
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_console import figures

MONEY = st.decimals(min_value=-(10**11), max_value=10**11, places=8)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\u2014"),
        (D("1234.5"), "1,234.50"),
        (D("-0.004"), "0.00"),
        (D("-1234567.895"), "\u22121,234,567.90"),
        (D("0.005"), "0.01"),
    ],
)
def test_numbers_have_fixed_decimals_and_a_dash_for_nothing(value: D | None, text: str) -> None:
    assert figures.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (D(12), "\u25b2 +12.00"),
        (D(-12), "\u25bc \u221212.00"),
        (D(0), "0.00"),
        (D("0.001"), "0.00"),
        (None, "\u2014"),
    ],
)
def test_gains_and_losses_have_sign_and_arrow(value: D | None, text: str) -> None:
    assert figures.marked(value) == text


@given(MONEY)
def test_sign_arrow_and_tone_always_agree(value: D) -> None:
    text, tone = figures.marked(value), figures.tone(value)
    assert (tone == "gain") == text.startswith("\u25b2 +")
    assert (tone == "loss") == text.startswith("\u25bc \u2212")
    assert (tone == "flat") == (text == "0.00")


@given(MONEY)
def test_a_number_read_back_is_within_half_a_cent(value: D) -> None:
    text = figures.number(value).replace(",", "").replace("\u2212", "-")
    assert abs(D(text) - value) <= D("0.005")


@pytest.mark.parametrize(
    ("value", "text"),
    [(D("100.00000000"), "100"), (D("1200"), "1,200"), (D("0.5"), "0.5"), (D("-7"), "\u22127"), (None, "\u2014")],
)
def test_shares_lose_the_zeros_they_are_stored_with(value: D | None, text: str) -> None:
    assert figures.quantity(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (3_599, "59 min"), (3_900, "1 h 05 min"), (200_000, "2 d")],
)
def test_spans_are_written_in_their_largest_unit(seconds: int, text: str) -> None:
    assert figures.duration(seconds) == text


def test_times_are_written_for_the_exchange_and_in_utc() -> None:
    at = datetime(2012, 6, 14, 15, 4, 5, tzinfo=UTC)
    assert figures.new_york(at) == "2012-06-14 11:04:05"
    assert figures.utc(at) == "2012-06-14 15:04:05"
    assert figures.epoch_ms(at) == 1_339_686_245_000


def test_a_share_is_written_in_percent_with_its_sign() -> None:
    assert figures.percent(D("0.0123")) == "+1.23%"
    assert figures.percent(None) == "\u2014"
