"""Is the price usable, fresh and near; is the order a slip of a finger. Boundaries at limit - 1, limit, limit + 1."""

import pytest

from risk.checks.price import (
    check_order_notional,
    check_order_quantity,
    check_price_available,
    check_price_collar,
    check_price_fresh,
    check_volume_share,
)
from risk.types import DenialCode, OrderType
from tests.risk.cases import D, code_of, make_case, make_instrument, make_intent, make_limits, make_price


@pytest.mark.parametrize(
    "price",
    [
        None,
        make_price(D(0), bid=None, ask=None),
        make_price(D(-1), bid=None, ask=None),
        make_price(D("NaN"), bid=None, ask=None),
        make_price(D("Infinity"), bid=None, ask=None),
        make_price(bid=D("100.02"), ask=D("100.01")),
        make_price(bid=D("NaN")),
        make_price(ask=D("NaN")),
        make_price(bid=D("Infinity")),
        make_price(bid=D(0)),
        make_price(ask=D(-1)),
        make_price(ask=None, bid=D("NaN")),
    ],
)
def test_unusable_price_is_denied(price):
    assert code_of(check_price_available(make_case(price=price))) == DenialCode.PRICE_UNAVAILABLE


@pytest.mark.parametrize(
    "price", [make_price(), make_price(bid=None), make_price(ask=None), make_price(bid=D(100), ask=D(100))]
)
def test_one_sided_and_locked_quotes_are_usable(price):
    assert check_price_available(make_case(price=price)) is None


@pytest.mark.parametrize(("age", "passes"), [(-1, False), (0, True), (1799, True), (1800, True), (1801, False)])
def test_price_age(age, passes):
    denial = check_price_fresh(make_case(price=make_price(age_seconds=age)))
    assert code_of(denial) == (None if passes else DenialCode.PRICE_STALE)
    if denial is not None:
        assert (denial.limit, denial.observed) == ("1800 s", f"{age} s")


def test_no_price_has_no_age_and_no_distance():
    case = make_case(price=None, intent=make_intent(limit_price=D(100)))
    assert check_price_fresh(case) is None
    assert check_price_collar(case) is None


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [("90.01", True), ("90.00", True), ("89.99", False), ("109.99", True), ("110.00", True), ("110.01", False)],
)
@pytest.mark.parametrize("name", ["limit_price", "stop_price"])
def test_price_collar_of_ten_percent(name, wanted, passes):
    denial = check_price_collar(make_case(intent=make_intent(**{name: D(wanted)})))
    assert code_of(denial) == (None if passes else DenialCode.PRICE_COLLAR)


def test_collar_looks_at_the_stop_even_when_the_limit_is_near():
    intent = make_intent(order_type=OrderType.STOP_LIMIT, limit_price=D(100), stop_price=D(150))
    denial = check_price_collar(make_case(intent=intent))
    assert denial is not None
    assert denial.observed == "50.00%"


@pytest.mark.parametrize(("quantity", "passes"), [(9_999, True), (10_000, True), (10_001, False)])
def test_shares_in_one_order(quantity, passes):
    denial = check_order_quantity(make_case(intent=make_intent(quantity=D(quantity))))
    assert code_of(denial) == (None if passes else DenialCode.FAT_FINGER_QUANTITY)


@pytest.mark.parametrize(("quantity", "passes"), [(999, True), (1_000, True), (1_001, False)])
def test_value_of_one_order(quantity, passes):
    denial = check_order_notional(make_case(intent=make_intent(quantity=D(quantity))))
    assert code_of(denial) == (None if passes else DenialCode.FAT_FINGER_NOTIONAL)
    if denial is not None:
        assert (denial.limit, denial.observed) == ("100000", "100100.00")


def test_value_of_one_order_to_the_cent():
    at_limit = make_case(intent=make_intent(quantity=D(1)), reserve_price=D("100000.00"))
    above = make_case(intent=make_intent(quantity=D(1)), reserve_price=D("100000.01"))
    assert check_order_notional(at_limit) is None
    assert code_of(check_order_notional(above)) == DenialCode.FAT_FINGER_NOTIONAL


@pytest.mark.parametrize(("quantity", "passes"), [(49_999, True), (50_000, True), (50_001, False)])
def test_share_of_the_daily_volume(quantity, passes):
    denial = check_volume_share(make_case(intent=make_intent(quantity=D(quantity))))
    assert code_of(denial) == (None if passes else DenialCode.ADV_LIMIT)


@pytest.mark.parametrize("volume", [None, D(0), D(-1)])
def test_unknown_volume_fails_closed(volume):
    denial = check_volume_share(make_case(instrument=make_instrument(average_daily_volume=volume)))
    assert denial is not None
    assert (denial.code, denial.observed) == (DenialCode.ADV_LIMIT, "unknown")


def test_missing_instrument_fails_closed():
    assert code_of(check_volume_share(make_case(instrument=None))) == DenialCode.ADV_LIMIT


@pytest.mark.parametrize(
    ("check", "name", "intent"),
    [
        (check_order_quantity, "max_order_quantity", make_intent(quantity=D(20_000))),
        (check_order_notional, "max_order_notional", make_intent(quantity=D(20_000))),
        (check_volume_share, "max_order_adv_pct", make_intent(quantity=D(60_000))),
        (check_price_collar, "price_collar_pct", make_intent(limit_price=D(150))),
    ],
)
def test_raising_the_limit_lets_the_order_pass(check, name, intent):
    assert check(make_case(intent=intent)) is not None
    raised = D(100) if name.endswith("pct") else D(10_000_000)
    assert check(make_case(intent=intent, limits=make_limits(**{name: raised}))) is None
