"""Numbers, combinations, ticks and lots."""

import itertools
from decimal import Decimal as D

import pytest

from risk.checks.form import (
    check_combination,
    check_instrument,
    check_prices,
    check_quantity,
    check_tick_and_lot,
    storable,
)
from risk.types import DenialCode, OrderType, Side, TimeInForce
from tests.risk.cases import code_of, make_case, make_instrument, make_intent, reducing

NONSENSE = [
    "0",
    "-0",
    "-1",
    "NaN",
    "sNaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "1000000000000",
    "1E+30",
    "0.000000001",
    "1.000000001",
    "1E-400",
]
SENSE = ["0.00000001", "1", "1.50000000", "1.5000000000", "999999999999", "999999999999.99999999", "1E+11"]


@pytest.mark.parametrize("text", SENSE)
def test_positive_numbers_of_the_ledgers_precision_are_storable(text):
    assert storable(D(text))


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_quantity_is_denied_with_what_was_asked(text):
    denial = check_quantity(make_case(intent=make_intent(quantity=D(text))))
    assert denial is not None
    assert (denial.code, denial.observed) == (DenialCode.INVALID_QUANTITY, str(D(text)))


@pytest.mark.parametrize("text", NONSENSE)
@pytest.mark.parametrize("name", ["limit_price", "stop_price"])
def test_nonsense_price_is_denied_and_named(name, text):
    prices = {"limit_price": D(100), "stop_price": D(100)} | {name: D(text)}
    denial = check_prices(make_case(intent=make_intent(order_type=OrderType.STOP_LIMIT, **prices)))
    assert denial is not None
    assert denial.code == DenialCode.INVALID_PRICE
    assert denial.message.startswith(name)


def test_sensible_numbers_pass():
    case = make_case(intent=make_intent(limit_price=D(100), stop_price=D(99)))
    assert check_quantity(case) is None
    assert check_prices(case) is None


@pytest.mark.parametrize("name", ["side", "order_type", "time_in_force"])
def test_a_word_nobody_knows_is_denied_with_those_that_are(name):
    denial = check_combination(make_case(intent=make_intent(**{name: "sideways"})))
    assert denial is not None
    assert (denial.code, denial.observed) == (DenialCode.INVALID_COMBINATION, "sideways")
    assert denial.limit.startswith("one of ")


WANTS_LIMIT = {OrderType.LIMIT, OrderType.STOP_LIMIT}
WANTS_STOP = {OrderType.STOP, OrderType.STOP_LIMIT}


@pytest.mark.parametrize(
    ("order_type", "limit", "stop"), list(itertools.product(OrderType, [None, D(100)], [None, D(100)]))
)
def test_every_type_takes_exactly_its_prices(order_type, limit, stop):
    passes = (order_type in WANTS_LIMIT) == (limit is not None) and (order_type in WANTS_STOP) == (stop is not None)
    intent = make_intent(order_type=order_type, limit_price=limit, stop_price=stop)
    expected = None if passes else DenialCode.INVALID_COMBINATION
    assert code_of(check_combination(make_case(intent=intent))) == expected


def well_priced(order_type, **fields):
    prices = {
        "limit_price": D(100) if order_type in WANTS_LIMIT else None,
        "stop_price": D(100) if order_type in WANTS_STOP else None,
    }
    return make_case(intent=make_intent(order_type=order_type, **prices, **fields))


@pytest.mark.parametrize(("order_type", "tif"), list(itertools.product(OrderType, TimeInForce)))
def test_every_pair_of_type_and_time_in_force(order_type, tif):
    if order_type in WANTS_STOP:
        passes = tif in {TimeInForce.DAY, TimeInForce.GTC}
    else:
        passes = (order_type, tif) != (OrderType.MARKET, TimeInForce.GTC)
    assert (check_combination(well_priced(order_type, time_in_force=tif)) is None) is passes


@pytest.mark.parametrize(("order_type", "tif"), list(itertools.product(OrderType, TimeInForce)))
def test_extended_hours_take_limit_orders_of_the_day_only(order_type, tif):
    passes = (order_type, tif) == (OrderType.LIMIT, TimeInForce.DAY)
    case = well_priced(order_type, time_in_force=tif, extended_hours=True)
    assert (check_combination(case) is None) is passes


def test_unknown_symbol_is_denied_and_shown_cut_to_length():
    denial = check_instrument(make_case(instrument=None, intent=make_intent(symbol="X" * 200)))
    assert denial is not None
    assert (denial.code, denial.observed) == (DenialCode.UNKNOWN_INSTRUMENT, "X" * 32)
    assert check_instrument(make_case()) is None


@pytest.mark.parametrize(
    ("quantity", "lot", "fractionable", "passes"),
    [
        ("100", "1", False, True),
        ("100.5", "1", False, False),
        ("100.5", "1", True, True),
        ("150", "100", False, False),
        ("200", "100", False, True),
        ("0.00000001", "1", True, True),
    ],
)
def test_lots(quantity, lot, fractionable, passes):
    instrument = make_instrument(lot_size=D(lot), fractionable=fractionable)
    denial = check_tick_and_lot(make_case(instrument=instrument, intent=make_intent(quantity=D(quantity))))
    assert code_of(denial) == (None if passes else DenialCode.INVALID_QUANTITY)


@pytest.mark.parametrize(("quantity", "passes"), [("37", True), ("36", False), ("38", False)])
def test_what_is_held_of_a_lot_can_be_sold_whole(quantity, passes):
    case = make_case(instrument=make_instrument(lot_size=D(100)), intent=make_intent(quantity=D(quantity)))
    assert (check_tick_and_lot(reducing(case, strategy_holds=37)) is None) is passes


@pytest.mark.parametrize("tif", list(TimeInForce))
@pytest.mark.parametrize(("quantity", "is_whole"), [("1.5", False), ("2", True)])
def test_only_day_orders_are_for_parts_of_a_share(tif, quantity, is_whole):
    intent = make_intent(quantity=D(quantity), time_in_force=tif)
    case = make_case(instrument=make_instrument(fractionable=True), intent=intent)
    assert (check_tick_and_lot(case) is None) is (is_whole or tif == TimeInForce.DAY)


@pytest.mark.parametrize(
    ("price", "passes"),
    [
        ("1.00", True),
        ("1.01", True),
        ("1.005", False),
        ("1.0001", False),
        ("0.9999", True),
        ("0.99", True),
        ("0.99995", False),
        ("0.0001", True),
        ("100.000001", False),
    ],
)
@pytest.mark.parametrize("name", ["limit_price", "stop_price"])
def test_ticks_change_at_one_dollar(name, price, passes):
    denial = check_tick_and_lot(make_case(intent=make_intent(**{name: D(price)})))
    assert code_of(denial) == (None if passes else DenialCode.INVALID_PRICE)


def test_a_tick_finer_than_a_tenth_of_a_mill_is_kept_under_a_dollar():
    instrument = make_instrument(tick_size=D("0.00001"))
    case = make_case(instrument=instrument, intent=make_intent(limit_price=D("0.50001")))
    assert check_tick_and_lot(case) is None


def test_without_an_instrument_there_is_nothing_to_compare_with():
    assert check_tick_and_lot(make_case(instrument=None)) is None


@pytest.mark.parametrize(("side", "sign"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_signed_quantity_follows_the_side(side, sign):
    intent = make_intent(side=side)
    assert (intent.sign, intent.signed_quantity) == (sign, sign * D(100))
