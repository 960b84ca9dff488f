from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from execution.matching.engine import MatchingRules, VolumeBudget, expire_session, match_event
from execution.matching.events import OpeningAuction, QuoteTick, SessionEnd
from execution.matching.slippage import FixedBpsSlippage
from tests.execution.matching_cases import (
    CLOSE,
    DAY,
    HOURS,
    NEXT_DAY,
    NEXT_HOURS,
    OPEN,
    closing,
    kinds,
    make_order,
    opening,
    run,
    tick,
    told,
)

TENTH = MatchingRules(participation=Decimal("0.10"))


class TestMarketOrders:
    def test_order_entered_while_closed_fills_at_the_opening_price(self):
        assert told(run(make_order(), event=opening("101.5"))) == [(1, "fill", Decimal(100), Decimal("101.5"))]

    def test_buyer_pays_the_ask_and_seller_gets_the_bid(self):
        buy, sell = make_order(), make_order(sequence=2, side="sell")
        outcomes = run(buy, sell, event=tick(bid="99.9", ask="100.1"))
        assert [outcome.price for outcome in outcomes] == [Decimal("100.1"), Decimal("99.9")]

    def test_without_a_quote_the_last_trade_counts(self):
        assert run(make_order(side="sell"), event=tick("100.07"))[0].price == Decimal("100.07")

    def test_without_an_auction_the_first_tick_of_the_session_fills(self):
        assert kinds(run(make_order(), event=tick())) == ["fill"]

    def test_waits_outside_the_session(self):
        assert run(make_order(), event=tick(minute=-5)) == []
        assert run(make_order(), event=replace(tick(), at=CLOSE)) == []

    def test_fills_in_the_closing_auction_too(self):
        assert run(make_order(), event=closing("102"))[0].price == Decimal(102)


class TestTime:
    def test_an_order_never_meets_the_quote_it_was_entered_on(self):
        order = make_order(active_after=tick().at)
        assert run(order, event=tick()) == []
        assert kinds(run(order, event=tick(minute=2))) == ["fill"]

    def test_the_same_event_finds_nothing_to_do_twice(self):
        rules = MatchingRules(participation=Decimal("0.5"))
        first = run(make_order(), event=tick(volume="100"), rules=rules)
        assert told(first) == [(1, "fill", Decimal(50), Decimal(100))]
        assert run(first[0].order, event=tick(volume="100"), rules=rules) == []

    def test_an_order_for_the_next_session_leaves_this_close_alone(self):
        order = make_order(session_date=NEXT_DAY, active_after=CLOSE - timedelta(seconds=1))
        assert run(order, event=closing()) == []

    def test_a_day_order_expires_at_the_next_session_when_its_end_was_never_told(self):
        outcomes = match_event(
            QuoteTick("A", None, None, Decimal(100), None, NEXT_HOURS.opens_at + timedelta(minutes=1)),
            [make_order(), make_order(sequence=2, time_in_force="gtc")],
            hours=NEXT_HOURS,
            rules=TENTH,
        )
        assert [(o.order.sequence, o.kind) for o in outcomes] == [(1, "expired"), (2, "fill")]


class TestLimitOrders:
    @pytest.mark.parametrize(("side", "limit", "quote"), [("buy", "99.99", "100"), ("sell", "100.01", "100")])
    def test_waits_while_the_market_is_worse(self, side, limit, quote):
        order = make_order(side=side, order_type="limit", limit_price=limit)
        assert run(order, event=opening(quote)) == []
        assert run(order, event=tick(bid=quote, ask=quote)) == []

    @pytest.mark.parametrize(("side", "limit"), [("buy", "105"), ("sell", "95")])
    def test_gets_the_better_price_of_the_open(self, side, limit):
        order = make_order(side=side, order_type="limit", limit_price=limit)
        assert run(order, event=opening("100"))[0].price == Decimal(100)

    @pytest.mark.parametrize(("side", "limit"), [("buy", "100.01"), ("sell", "99.99")])
    def test_slippage_stops_at_the_limit(self, side, limit):
        rules = MatchingRules(slippage=FixedBpsSlippage(Decimal(50)))
        order = make_order(side=side, order_type="limit", limit_price=limit)
        assert run(order, event=opening("100"), rules=rules)[0].price == Decimal(limit)

    def test_extended_hours_limit_meets_ticks_outside_the_session(self):
        order = make_order(order_type="limit", limit_price="100", extended_hours=True)
        assert kinds(run(order, event=tick(minute=-5))) == ["fill"]
        late = replace(order, session_date=NEXT_DAY)
        assert kinds(run(late, event=replace(tick(), at=CLOSE + timedelta(minutes=5)))) == ["fill"]


class TestStops:
    @pytest.mark.parametrize(
        ("side", "stop", "short_of", "reached"), [("buy", "105", "104.99", "105"), ("sell", "95", "95.01", "95")]
    )
    def test_the_last_trade_triggers(self, side, stop, short_of, reached):
        order = make_order(side=side, order_type="stop", stop_price=stop)
        assert run(order, event=tick(short_of)) == []
        outcomes = run(order, event=tick(reached))
        assert kinds(outcomes) == ["triggered", "fill"]
        assert outcomes[-1].price == Decimal(reached)

    @pytest.mark.parametrize(("side", "stop", "gap"), [("buy", "105", "110"), ("sell", "95", "90")])
    def test_a_gap_through_the_stop_gets_the_worse_market_price(self, side, stop, gap):
        order = make_order(side=side, order_type="stop", stop_price=stop)
        assert run(order, event=opening(gap))[-1].price == Decimal(gap)

    def test_stop_limit_waits_at_its_limit_after_the_trigger(self):
        order = make_order(order_type="stop_limit", stop_price="105", limit_price="106")
        triggered = run(order, event=tick("110"))
        assert kinds(triggered) == ["triggered"]
        assert told(run(triggered[0].order, event=tick("105.5", minute=2))) == [
            (1, "fill", Decimal(100), Decimal("105.5"))
        ]

    def test_a_triggered_stop_stays_triggered(self):
        order = make_order(order_type="stop", stop_price="105")
        triggered = run(order, event=tick("105", volume="0"))
        assert kinds(triggered) == ["triggered"]
        assert kinds(run(triggered[0].order, event=tick("90", minute=2))) == ["fill"]

    def test_quotes_before_the_open_trigger_nothing(self):
        assert run(make_order(order_type="stop", stop_price="50"), event=tick("100", minute=-1)) == []

    def test_a_market_order_has_no_trigger(self):
        assert not make_order().is_triggered_by(Decimal(100))


class TestAuctionOrders:
    def test_opg_fills_in_the_opening_auction_only(self):
        order = make_order(time_in_force="opg")
        assert run(order, event=tick()) == []
        assert run(order, event=closing()) == []
        assert kinds(run(order, event=opening())) == ["fill"]

    def test_cls_fills_in_the_closing_auction_only(self):
        order = make_order(time_in_force="cls")
        assert run(order, event=tick()) == []
        assert run(order, event=opening()) == []
        assert kinds(run(order, event=closing())) == ["fill"]

    @pytest.mark.parametrize(("time_in_force", "auction"), [("opg", opening), ("cls", closing)])
    def test_a_limit_away_from_the_auction_expires_with_it(self, time_in_force, auction):
        order = make_order(time_in_force=time_in_force, order_type="limit", limit_price="99")
        assert kinds(run(order, event=auction("100"))) == ["expired"]

    def test_the_rest_of_a_partly_filled_opg_expires(self):
        outcomes = run(make_order(time_in_force="opg"), event=opening(volume="400"), rules=TENTH)
        assert told(outcomes) == [(1, "fill", Decimal(40), Decimal(100)), (1, "expired", Decimal(0), Decimal(0))]
        assert [outcome.is_final for outcome in outcomes] == [False, True]


class TestAtOnce:
    def test_ioc_cancels_the_rest_on_the_first_tick(self):
        outcomes = run(make_order(time_in_force="ioc"), event=tick(volume="300"), rules=TENTH)
        assert told(outcomes) == [(1, "fill", Decimal(30), Decimal(100)), (1, "canceled", Decimal(0), Decimal(0))]

    def test_fok_takes_all(self):
        assert kinds(run(make_order(time_in_force="fok"), event=tick(volume="1000"), rules=TENTH)) == ["fill"]

    def test_fok_takes_nothing_when_it_cannot_take_all(self):
        assert kinds(run(make_order(time_in_force="fok"), event=tick(volume="999"), rules=TENTH)) == ["canceled"]

    def test_fok_that_fails_leaves_the_volume_to_the_others(self):
        kill, rest = make_order(time_in_force="fok"), make_order(sequence=2)
        assert told(run(kill, rest, event=tick(volume="500"), rules=TENTH)) == [
            (1, "canceled", Decimal(0), Decimal(0)),
            (2, "fill", Decimal(50), Decimal(100)),
        ]


class TestVolume:
    def test_rest_of_a_partial_fill_goes_on(self):
        first = run(make_order(), event=opening(volume="600"), rules=TENTH)
        second = run(first[0].order, event=tick(volume="600"), rules=TENTH)
        assert [o.quantity for o in first + second] == [Decimal(60), Decimal(40)]
        assert [o.is_final for o in first + second] == [False, True]

    def test_each_side_has_its_own_share(self):
        outcomes = run(make_order(), make_order(sequence=2, side="sell"), event=tick(volume="500"), rules=TENTH)
        assert [o.quantity for o in outcomes] == [Decimal(50), Decimal(50)]

    def test_parts_are_whole_shares(self):
        assert run(make_order(), event=tick(volume="119"), rules=TENTH)[0].quantity == Decimal(11)

    def test_a_fractional_order_fits_into_the_rest(self):
        assert run(make_order(quantity="0.5"), event=tick(volume="6"), rules=TENTH)[0].quantity == Decimal("0.5")

    def test_no_volume_no_fill(self):
        assert run(make_order(), event=tick(volume="0"), rules=TENTH) == []

    def test_price_comes_before_time_and_market_orders_before_all(self):
        orders = [
            make_order(sequence=1, order_type="limit", limit_price="100"),
            make_order(sequence=2, order_type="limit", limit_price="101"),
            make_order(sequence=3, order_type="limit", limit_price="101"),
            make_order(sequence=4),
        ]
        outcomes = run(*orders, event=tick(volume="3500"), rules=TENTH)
        assert [(o.order.sequence, o.quantity) for o in outcomes] == [(4, 100), (2, 100), (3, 100), (1, 50)]

    def test_the_lower_offer_sells_first(self):
        dear = make_order(sequence=1, side="sell", order_type="limit", limit_price="100")
        cheap = make_order(sequence=2, side="sell", order_type="limit", limit_price="99")
        outcomes = run(dear, cheap, event=tick(volume="1500"), rules=TENTH)
        assert [(o.order.sequence, o.quantity) for o in outcomes] == [(2, 100), (1, 50)]

    def test_an_unknown_volume_limits_nothing(self):
        budget = VolumeBudget.of(None, Decimal("0.1"))
        budget.take(Decimal(10))
        assert budget.offer(Decimal(10**6)) == 10**6


class TestSessionEnd:
    def test_everything_but_gtc_expires(self):
        orders = [
            make_order(sequence=n, time_in_force=word)
            for n, word in enumerate(["gtc", "day", "ioc", "fok", "opg", "cls"], start=1)
        ]
        outcomes = expire_session(SessionEnd(DAY, CLOSE), reversed(orders))
        assert [(o.order.sequence, o.kind, o.at) for o in outcomes] == [(n, "expired", CLOSE) for n in range(2, 7)]

    def test_orders_for_the_next_session_stay(self):
        assert expire_session(SessionEnd(DAY, CLOSE), [make_order(session_date=NEXT_DAY)]) == []


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "10000001"])
def test_no_market_prints_such_a_price(price):
    with pytest.raises(ValueError, match="market price"):
        opening(price)
    with pytest.raises(ValueError, match="market price"):
        tick(ask=price)


@pytest.mark.parametrize("volume", ["-1", "NaN"])
def test_no_market_trades_such_a_volume(volume):
    with pytest.raises(ValueError, match="volume"):
        closing(volume=volume)


def test_market_time_is_aware():
    with pytest.raises(ValueError, match="aware"):
        OpeningAuction("A", Decimal(1), None, OPEN.replace(tzinfo=None))


def test_the_close_belongs_to_the_auction():
    assert HOURS.is_open(OPEN)
    assert not HOURS.is_open(CLOSE)
    assert tick("7").price == Decimal(7)
