"""Tradable, restricted, halted, sessions, auction windows and price bands."""

import itertools
from dataclasses import replace

import pytest

from risk.checks.market import (
    check_auction_window,
    check_not_halted,
    check_price_band,
    check_restricted,
    check_session,
    check_tradable,
)
from risk.types import AUCTIONS, DenialCode, OrderType, SessionView, Side, TimeInForce
from tests.risk.cases import D, code_of, make_case, make_instrument, make_intent, make_limits, reducing

PHASES = ("pre", "open", "post", "closed")


def at(phase="open", *, from_open=60, to_close=60):
    return SessionView(phase=phase, minutes_from_open=from_open, minutes_to_close=to_close)


def test_inactive_instrument_is_denied():
    case = make_case(instrument=make_instrument(tradable=False))
    assert code_of(check_tradable(case)) == DenialCode.NOT_TRADABLE
    assert check_tradable(make_case()) is None
    assert check_tradable(make_case(instrument=None)) is None


def test_restricted_name_can_only_be_reduced():
    case = make_case(instrument=make_instrument(restriction="insider list"))
    denial = check_restricted(case)
    assert denial is not None
    assert denial.code == DenialCode.RESTRICTED
    assert "insider list" in denial.message
    assert check_restricted(reducing(case)) is None
    assert check_restricted(make_case()) is None
    assert check_restricted(make_case(instrument=None)) is None


@pytest.mark.parametrize(("phase", "order_type", "tif"), list(itertools.product(PHASES, OrderType, TimeInForce)))
def test_session_phase_by_order_matrix(phase, order_type, tif):
    immediate = order_type == OrderType.MARKET or tif in {TimeInForce.IOC, TimeInForce.FOK}
    passes = phase == "open" or tif in AUCTIONS or not immediate
    case = make_case(session=at(phase), intent=make_intent(order_type=order_type, time_in_force=tif))
    assert code_of(check_session(case)) == (None if passes else DenialCode.MARKET_CLOSED)


@pytest.mark.parametrize(("phase", "passes"), [("pre", True), ("open", True), ("post", True), ("closed", False)])
def test_extended_hours_orders_need_an_extended_session(phase, passes):
    intent = make_intent(order_type=OrderType.LIMIT, limit_price=D(100), extended_hours=True)
    assert (check_session(make_case(session=at(phase), intent=intent)) is None) is passes


@pytest.mark.parametrize(
    ("phase", "from_open", "passes"),
    [("pre", -3, True), ("pre", -2, False), ("pre", -1, False), ("open", 0, False), ("open", 200, False),
     ("post", 400, True), ("closed", -600, True)],
)  # fmt: skip
def test_opg_is_taken_until_two_minutes_before_the_open(phase, from_open, passes):
    case = make_case(session=at(phase, from_open=from_open), intent=make_intent(time_in_force=TimeInForce.OPG))
    assert code_of(check_auction_window(case)) == (None if passes else DenialCode.AUCTION_WINDOW)


@pytest.mark.parametrize(
    ("phase", "to_close", "passes"),
    [("open", 11, True), ("open", 10, False), ("open", 9, False), ("open", 0, False), ("pre", 400, True),
     ("post", -5, True)],
)  # fmt: skip
def test_cls_is_taken_until_ten_minutes_before_the_close(phase, to_close, passes):
    case = make_case(session=at(phase, to_close=to_close), intent=make_intent(time_in_force=TimeInForce.CLS))
    assert code_of(check_auction_window(case)) == (None if passes else DenialCode.AUCTION_WINDOW)


@pytest.mark.parametrize("tif", list(TimeInForce))
@pytest.mark.parametrize("phase", ["post", "closed"])
def test_auction_orders_are_not_taken_between_the_close_and_seven_in_the_evening(phase, tif):
    session = replace(at(phase, from_open=-1000), auctions_taken=False)
    denial = check_auction_window(make_case(session=session, intent=make_intent(time_in_force=tif)))
    assert (denial is not None) is (tif in AUCTIONS)
    assert denial is None or f"{tif} orders for the next session are taken from 19:00 New York" in denial.message


@pytest.mark.parametrize(
    ("from_open", "to_close", "passes"),
    [(4, 386, False), (5, 385, True), (6, 384, True), (386, 4, False), (385, 5, True), (384, 6, True)],
)
def test_market_orders_wait_out_the_first_and_last_minutes(from_open, to_close, passes):
    case = make_case(session=at(from_open=from_open, to_close=to_close))
    assert code_of(check_auction_window(case)) == (None if passes else DenialCode.AUCTION_WINDOW)
    assert check_auction_window(reducing(case)) is None


@pytest.mark.parametrize(
    "intent",
    [
        make_intent(order_type=OrderType.LIMIT, limit_price=D(100)),
        make_intent(order_type=OrderType.STOP, stop_price=D(100)),
    ],
)
def test_priced_orders_may_go_in_at_the_open(intent):
    assert check_auction_window(make_case(session=at(from_open=0), intent=intent)) is None


def test_quiet_minutes_count_only_while_the_market_is_open():
    assert check_auction_window(make_case(session=at("post", from_open=400, to_close=-1))) is None


def test_quiet_minutes_are_a_limit_and_zero_switches_them_off():
    case = make_case(session=at(from_open=0), limits=make_limits(auction_quiet_minutes=D(0)))
    assert check_auction_window(case) is None


def banded(**fields):
    intent = make_intent(**{"order_type": OrderType.LIMIT, "limit_price": D(100)} | fields)
    return make_case(intent=intent, instrument=make_instrument(limit_down=D(95), limit_up=D(105)))


def test_a_halted_name_takes_nothing_that_adds():
    case = make_case(instrument=make_instrument(halted=True, halt_reason="news pending"))
    denial = check_not_halted(case)
    assert denial.code == DenialCode.HALTED
    assert "news pending" in denial.message
    assert check_not_halted(reducing(case)) is None


def test_a_limit_beyond_the_band_is_denied_and_names_the_band():
    denial = check_price_band(banded(limit_price=D("105.01")))
    assert (denial.code, denial.limit, denial.observed) == (DenialCode.LULD_BAND, "95 to 105", "105.01")
    assert code_of(check_price_band(banded(side=Side.SELL, limit_price=D("94.99")))) == DenialCode.LULD_BAND


@pytest.mark.parametrize(
    "fields",
    [
        {"limit_price": D(105)},
        {"limit_price": D(90)},
        {"side": Side.SELL, "limit_price": D(95)},
        {"side": Side.SELL, "limit_price": D(120)},
        {"order_type": OrderType.MARKET, "limit_price": None},
        {"order_type": OrderType.STOP_LIMIT, "limit_price": D(107), "stop_price": D(106)},
        {"time_in_force": TimeInForce.CLS, "limit_price": D(110)},
    ],
)
def test_what_the_band_does_not_bind_passes(fields):
    assert check_price_band(banded(**fields)) is None


def test_there_is_no_band_outside_the_session():
    case = banded(limit_price=D(110))
    closed = SessionView(phase="pre", minutes_from_open=-30, minutes_to_close=420)
    assert check_price_band(replace(case, session=closed)) is None
