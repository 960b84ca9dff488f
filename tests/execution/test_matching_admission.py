from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from execution.matching.admission import Entry, find_refusal
from risk.types import OrderType, Side, TimeInForce
from tests.execution.matching_cases import BEFORE_OPEN, CLOSE, HOURS, OPEN

MARKET = Entry(
    side=Side.BUY,
    order_type=OrderType.MARKET,
    time_in_force=TimeInForce.DAY,
    quantity=Decimal(100),
    limit_price=None,
    stop_price=None,
    extended_hours=False,
)
LIMIT = replace(MARKET, order_type=OrderType.LIMIT, limit_price=Decimal(100))
STOP_LIMIT = replace(LIMIT, order_type=OrderType.STOP_LIMIT, stop_price=Decimal(99))


def code_of(entry, *, at=BEFORE_OPEN):
    refusal = find_refusal(entry, hours=HOURS, at=at)
    return None if refusal is None else refusal.code


def test_ordinary_orders_are_taken():
    stop = replace(MARKET, order_type=OrderType.STOP, stop_price=Decimal(99), time_in_force=TimeInForce.GTC)
    for entry in (MARKET, LIMIT, STOP_LIMIT, stop, replace(LIMIT, extended_hours=True)):
        assert code_of(entry) is None


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "Infinity", "1000000001", "1.000000001"])
def test_what_is_no_number_of_shares_is_refused(quantity):
    assert code_of(replace(MARKET, quantity=Decimal(quantity))) == "invalid_quantity"


def test_part_of_a_share_is_for_market_day_orders():
    assert code_of(replace(MARKET, quantity=Decimal("0.5"))) is None
    assert code_of(replace(LIMIT, quantity=Decimal("0.5"))) == "fractional_quantity"
    assert code_of(replace(MARKET, quantity=Decimal("0.5"), time_in_force=TimeInForce.OPG)) == "fractional_quantity"


@pytest.mark.parametrize(
    ("price", "code"),
    [
        (None, "missing_limit_price"),
        (Decimal(0), "invalid_limit_price"),
        (Decimal("NaN"), "invalid_limit_price"),
        (Decimal(10**8), "invalid_limit_price"),
        (Decimal("10.005"), "sub_penny_price"),
    ],
)
def test_limit_prices_that_cannot_be(price, code):
    assert code_of(replace(LIMIT, limit_price=price)) == code


def test_prices_that_the_type_does_not_have():
    assert code_of(replace(MARKET, limit_price=Decimal(1))) == "unexpected_limit_price"
    assert code_of(replace(LIMIT, stop_price=Decimal(1))) == "unexpected_stop_price"
    assert code_of(replace(STOP_LIMIT, stop_price=None)) == "missing_stop_price"


@pytest.mark.parametrize("word", ["ioc", "fok", "opg", "cls"])
def test_a_stop_is_day_or_gtc(word):
    assert code_of(replace(STOP_LIMIT, time_in_force=TimeInForce(word))) == "invalid_time_in_force"


def test_extended_hours_are_for_limit_day_orders():
    assert code_of(replace(MARKET, extended_hours=True)) == "extended_hours"
    assert code_of(replace(LIMIT, extended_hours=True, time_in_force=TimeInForce.GTC)) == "extended_hours"


@pytest.mark.parametrize(
    ("word", "at", "taken"),
    [
        ("opg", HOURS.auctions_enterable_at, True),
        ("opg", HOURS.auctions_enterable_at - timedelta(seconds=1), False),
        ("opg", OPEN - timedelta(minutes=2, seconds=1), True),
        ("opg", OPEN - timedelta(minutes=2), False),
        ("opg", OPEN + timedelta(hours=1), False),
        ("cls", CLOSE - timedelta(minutes=10, seconds=1), True),
        ("cls", CLOSE - timedelta(minutes=10), False),
        ("cls", HOURS.auctions_enterable_at - timedelta(seconds=1), False),
    ],
)
def test_auction_orders_have_a_window(word, at, taken):
    code = code_of(replace(MARKET, time_in_force=TimeInForce(word)), at=at)
    assert code == (None if taken else f"{word}_window")
