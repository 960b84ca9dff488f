"""One view out of trades and quotes that come apart."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.services.quotes import quote_problem
from marketdata.tape import WIDEST_SPREAD, ShareChange, Tape
from marketdata.types import BidAsk, TradeChange, TradePrint

D = Decimal
T = datetime(2012, 6, 14, 15, tzinfo=UTC)


def at(seconds):
    return T + timedelta(seconds=seconds)


def trade(price, seconds=0, number="1"):
    return TradePrint("AAPL", D(str(price)), at(seconds), number)


def sides(bid, ask, seconds=0):
    return BidAsk("AAPL", None if bid is None else D(str(bid)), None if ask is None else D(str(ask)), at(seconds))


def view(*events):
    tape = Tape()
    for event in events:
        tape.take(event, "test")
    return tape.view("AAPL")


def test_nothing_is_known_of_a_symbol_that_nobody_spoke_of():
    assert Tape().view("AAPL") is None


def test_a_trade_after_the_quote_is_the_price_at_its_own_time():
    made = view(sides(99, 101), trade("100.5", 1))
    assert (made.last, made.at, made.bid, made.ask) == (D("100.5"), at(1), D(99), D(101))


def test_a_newer_quote_around_the_trade_confirms_its_price():
    made = view(trade("100"), sides("99.99", "100.01", 60))
    assert (made.last, made.at) == (D(100), at(60))


@pytest.mark.parametrize(("bid", "ask", "last"), [("101", "101.02", "101"), ("98", "98.02", "98.02")])
def test_a_newer_quote_beside_the_trade_moves_the_price_to_its_nearest_side(bid, ask, last):
    made = view(trade("100"), sides(bid, ask, 60))
    assert (made.last, made.at) == (D(last), at(60))


@pytest.mark.parametrize(("bid", "ask"), [(90, 110), (None, "100.01"), ("99.99", None)])
def test_a_wide_or_one_sided_quote_lets_the_price_grow_old(bid, ask):
    made = view(trade("100"), sides(bid, ask, 60))
    assert (made.last, made.at) == (D(100), at(0))


def test_without_a_trade_there_is_no_last_price():
    assert view(sides("99.99", "100.01")).last is None


def test_a_crossed_quote_changes_nothing():
    tape = Tape()
    assert tape.take(sides("99.99", "100.01"), "test")
    assert not tape.take(sides("100.02", "100.01", 1), "test")
    assert tape.view("AAPL").bid == D("99.99")


def test_what_comes_late_changes_nothing():
    tape = Tape()
    tape.take(trade("100", 10), "test")
    tape.take(sides("99.99", "100.01", 10), "test")
    assert not tape.take(trade("90", 9), "test")
    assert not tape.take(sides("89", "90", 9), "test")
    assert tape.view("AAPL").last == D(100)


def test_a_corrected_trade_gets_its_price_and_a_canceled_one_is_gone():
    tape = Tape()
    tape.take(trade("150", number="7"), "test")
    assert not tape.take(TradeChange("AAPL", "6", D(1), at(1)), "test")
    tape.take(TradeChange("AAPL", "7", D(100), at(1)), "test")
    assert tape.view("AAPL").last == D(100)
    tape.take(TradeChange("AAPL", "7", None, at(2)), "test")
    assert tape.view("AAPL") is None


def test_what_is_forgotten_is_not_old_news_later():
    tape = Tape()
    tape.take(trade("100"), "test")
    tape.forget("AAPL")
    assert tape.view("AAPL") is None


def test_what_was_told_before_a_split_is_in_new_shares_afterwards():
    tape = Tape({"AAPL": [ShareChange(at(50), D(7))]})
    tape.take(trade("700", 10), "test")
    tape.take(sides("699.93", "700.07", 20), "test")
    made = tape.view("AAPL")
    assert (made.last, made.bid, made.ask, made.at) == (D(100), D("99.99"), D("100.01"), at(20))
    assert made.source == "test, after split"
    tape.take(sides("99", "105", 60), "test")
    made = tape.view("AAPL")
    assert (made.last, made.bid, made.ask, made.at) == (D(100), D(99), D(105), at(10))


def test_a_split_that_is_told_late_changes_the_views_of_those_who_have_it():
    tape = Tape()
    tape.take(trade("700", 10), "test")
    splits = {"AAPL": [ShareChange(at(50), D(7))], "IBM": [ShareChange(at(50), D(2))]}
    assert tape.adopt(splits) == ["AAPL"]
    assert tape.adopt(splits) == []
    assert tape.view("AAPL").last == D(100)
    tape.take(trade("101", 60), "test")
    assert (tape.view("AAPL").last, tape.view("AAPL").source) == (D(101), "test")


prices = st.decimals("0.01", "1000", places=2)
trades = st.builds(lambda price, when: TradePrint("AAPL", price, at(when), ""), prices, st.integers(0, 20))
quotes = st.builds(
    lambda bid, ask, when: BidAsk("AAPL", bid, ask, at(when)),
    st.none() | prices,
    st.none() | prices,
    st.integers(0, 20),
)


@given(st.lists(trades | quotes, min_size=1, max_size=30))
def test_every_view_can_be_stored_and_is_as_new_as_what_it_is_made_of(events):
    tape = Tape()
    for event in events:
        tape.take(event, "test")
        made = tape.view("AAPL")
        if made is None:
            continue
        assert quote_problem(made) is None
        assert made.at <= max(each.at for each in events)
        if made.last is None or made.bid is None or made.ask is None:
            continue
        inside = made.bid <= made.last <= made.ask
        newest_trade = max((each.at for each in events if isinstance(each, TradePrint)), default=None)
        assert inside or made.ask - made.bid > made.ask * WIDEST_SPREAD or made.at <= newest_trade


@given(st.permutations([trade("100", 1), sides("99", "99.5", 2), trade("99.2", 3), sides("99.1", "99.3", 4)]))
def test_the_order_of_arrival_does_not_matter(events):
    made = view(*events)
    assert (made.last, made.bid, made.ask, made.at) == (D("99.2"), D("99.1"), D("99.3"), at(4))
