"""Positions, cash, activities, history, corporate actions, and what happens without the client."""

import json
from datetime import date, timedelta
from decimal import Decimal

import pytest

from execution.alpaca_wire.answers import asset_id_of
from execution.alpaca_wire.errors import WireError
from execution.emulator.log import EventLog
from execution.emulator.market import Dividend, Split
from execution.emulator.venue import ActivityQuery, HistoryQuery
from execution.matching.commission import FeeSchedule, PerShareCommission
from tests.execution.emulator.venue_cases import CLOSE, EVENING, MIDDAY, NEXT_OPEN, Desk, body

NEXT_DAY = date(2012, 6, 15)


def test_a_position_says_what_it_is_worth():
    desk = Desk()
    desk.market.set_previous_close("AAPL", Decimal(98))
    desk.hold("10", "90")
    told = desk.venue.position("AAPL")
    assert told["market_value"] == "1000.00"
    assert told["unrealized_pl"] == "100.00"
    assert told["unrealized_intraday_pl"] == "20.00"
    assert desk.venue.position(asset_id_of("AAPL")) == told
    with pytest.raises(WireError) as refused:
        desk.venue.position("IBM")
    assert (refused.value.status, refused.value.message) == (404, "position does not exist")


def test_a_position_is_closed_whole_in_part_or_by_percentage():
    desk = Desk()
    desk.hold("10")
    assert desk.venue.close_position("AAPL", quantity=Decimal(2))["qty"] == "2"
    desk.look()
    assert desk.venue.close_position("AAPL", percentage=Decimal(50))["qty"] == "4"
    desk.look()
    rest = desk.venue.close_position("AAPL")
    assert (rest["qty"], rest["side"]) == ("4", "sell")
    desk.look()
    with pytest.raises(WireError):
        desk.venue.close_position("AAPL")


def test_closing_all_answers_for_each_position():
    desk = Desk()
    desk.price("50", symbol="IBM")
    desk.hold("10")
    desk.hold("-5", symbol="IBM")
    desk.send(side="sell", limit_price="110")
    first, second = desk.venue.close_all(cancel_orders=False)
    assert (first["symbol"], first["status"], first["body"]["code"]) == ("AAPL", 403, 40310000)
    assert first["body"]["held_for_orders"] == "10"
    assert (second["symbol"], second["status"], second["body"]["side"]) == ("IBM", 200, "buy")
    desk.look()
    answers = desk.venue.close_all(cancel_orders=True)
    assert [answer["status"] for answer in answers] == [200]
    desk.look()
    assert desk.venue.positions() == []


def test_the_account_is_worth_its_cash_and_its_holdings():
    desk = Desk()
    desk.send()
    desk.look()
    desk.price("110")
    account = desk.venue.account()
    assert (account["cash"], account["equity"], account["long_market_value"]) == ("98999.90", "100099.90", "1100.00")
    assert account["account_number"] == "PA0EMULATOR"
    assert account["last_equity"] == "100000.00"
    desk.look(EVENING)
    assert desk.venue.account()["last_equity"] == "100099.90"


def test_fees_are_charged_at_the_end_of_the_day():
    fees = FeeSchedule(commission=PerShareCommission(per_share=Decimal("0.01")))
    desk = Desk(fees=fees)
    desk.send()
    desk.look()
    assert desk.venue.account()["accrued_fees"] == "0.10"
    desk.look(CLOSE)
    assert desk.venue.account()["cash"] == "98999.80"
    (fee,) = desk.venue.activities(ActivityQuery(types=("FEE",)))
    assert (fee["net_amount"], fee["date"]) == ("-0.1", "2012-06-14")


def test_activities_are_paged_in_both_directions():
    desk = Desk()
    for _ in range(5):
        desk.send(qty="1")
    desk.look()
    newest = desk.venue.activities(ActivityQuery(page_size=2))
    more = desk.venue.activities(ActivityQuery(page_size=2, page_token=newest[-1]["id"]))
    last = desk.venue.activities(ActivityQuery(page_size=2, page_token=more[-1]["id"]))
    every = desk.venue.activities(ActivityQuery(types=("FILL",)))
    assert [*newest, *more, *last] == every
    oldest = desk.venue.activities(ActivityQuery(direction="asc"))
    assert oldest == every[::-1]
    assert oldest[0]["type"] == "fill"
    with pytest.raises(WireError, match="page_token"):
        desk.venue.activities(ActivityQuery(page_token="nothing"))
    assert desk.venue.activities(ActivityQuery(after=MIDDAY + timedelta(minutes=1))) == []
    assert len(desk.venue.activities(ActivityQuery(day=MIDDAY.date()))) == 5


def test_a_split_overnight_changes_shares_and_orders():
    desk = Desk()
    desk.market.add_split(Split("AAPL", NEXT_DAY, Decimal(2)))
    desk.hold("10", "90")
    order = desk.send(side="sell", limit_price="110", time_in_force="gtc")
    desk.look(EVENING)
    assert desk.venue.position("AAPL")["qty"] == "10"
    desk.look(NEXT_OPEN - timedelta(minutes=1))
    position = desk.venue.position("AAPL")
    assert (position["qty"], position["avg_entry_price"]) == ("20", "45")
    old = desk.now(order)
    assert old["status"] == "replaced"
    new = desk.venue.order(old["replaced_by"])
    assert (new["qty"], new["limit_price"], new["replaces"]) == ("20", "55", order["id"])
    desk.look(NEXT_OPEN)
    desk.price("56")
    assert desk.venue.positions() == []


def test_the_exits_of_a_bracket_are_not_adjusted_by_a_split():
    desk = Desk()
    exits = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}}
    entry = desk.send(order_class="bracket", limit_price="101", time_in_force="gtc", **exits)
    desk.look()
    desk.venue.split("AAPL", Decimal(2))
    profit, stop = desk.now(entry, nested=True)["legs"]
    assert (profit["qty"], profit["limit_price"], stop["stop_price"]) == ("10", "110", "95")


def test_a_dividend_is_paid_to_the_long_and_taken_from_the_short():
    desk = Desk()
    desk.price("50", symbol="IBM")
    for symbol in ("AAPL", "IBM"):
        desk.market.add_dividend(Dividend(symbol, NEXT_DAY, Decimal("0.50")))
    desk.hold("10")
    desk.hold("-4", symbol="IBM")
    desk.look(NEXT_OPEN)
    assert desk.venue.account()["cash"] == "100003.00"
    told = desk.venue.activities(ActivityQuery(types=("DIV",), direction="asc"))
    assert [(line["symbol"], line["net_amount"]) for line in told] == [("AAPL", "5"), ("IBM", "-2")]


def test_the_history_has_a_point_for_each_close_and_one_for_now():
    desk = Desk()
    desk.send()
    desk.look(NEXT_OPEN)
    desk.price("110")
    history = desk.venue.portfolio_history()
    assert history["equity"] == [Decimal("99999.90"), Decimal("100099.90")]
    assert len(history["timestamp"]) == 2
    assert history["timeframe"] == "1D"
    first_day = HistoryQuery(end=MIDDAY.date())
    assert desk.venue.portfolio_history(first_day)["equity"] == [Decimal("99999.90")]


def test_the_clock_and_the_calendar_know_the_sessions():
    desk = Desk()
    assert desk.venue.clock()["is_open"] is True
    assert desk.venue.clock()["next_open"] == "2012-06-15T09:30:00-04:00"
    assert desk.venue.clock()["next_close"] == "2012-06-14T16:00:00-04:00"
    desk.look(EVENING)
    assert desk.venue.clock()["is_open"] is False
    assert desk.venue.clock()["next_open"] == "2012-06-15T09:30:00-04:00"
    days = desk.venue.calendar(date(2012, 7, 2), date(2012, 7, 5))
    assert [(day["date"], day["close"]) for day in days] == [
        ("2012-07-02", "16:00"),
        ("2012-07-03", "13:00"),
        ("2012-07-05", "16:00"),
    ]
    with pytest.raises(WireError):
        desk.venue.calendar(date(2012, 7, 5), date(2012, 7, 2))


def test_assets_are_found_by_symbol_and_id():
    desk = Desk()
    assert [asset["symbol"] for asset in desk.venue.assets()] == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    assert desk.venue.asset(asset_id_of("IBM")) == desk.venue.asset("IBM")
    with pytest.raises(WireError) as refused:
        desk.venue.asset("NOPE")
    assert refused.value.status == 404


def test_somebody_elses_order_is_told_like_any_other():
    desk = Desk()
    order = desk.venue.external_order(body())
    desk.look()
    assert desk.events(order) == ["pending_new", "new", "fill"]
    assert order["client_order_id"]
    assert desk.log.entries(kind="external")[0].data["order_id"] == order["id"]


def test_the_broker_liquidates_by_its_own_order():
    desk = Desk()
    desk.hold("10")
    mine = desk.send(side="sell", limit_price="110")
    desk.look()
    order = desk.venue.liquidate("AAPL")
    assert (desk.status(mine), desk.status(order)) == ("canceled", "filled")
    assert desk.events(order) == ["new", "fill"]
    assert desk.venue.positions() == []
    with pytest.raises(WireError):
        desk.venue.liquidate("AAPL")


def test_a_busted_trade_gives_shares_and_cash_back():
    desk = Desk()
    order = desk.send()
    desk.look()
    desk.venue.bust(desk.last("fill")["execution_id"])
    assert desk.venue.positions() == []
    assert desk.venue.account()["cash"] == "100000.00"
    assert desk.venue.activities() == []
    assert (desk.now(order)["filled_qty"], desk.events(order)[-1]) == ("0", "trade_bust")
    assert desk.log.fills() == []
    assert desk.log.positions() == {}
    assert desk.log.cash_moved() == 0
    with pytest.raises(WireError):
        desk.venue.bust("nothing")


def test_a_bust_of_an_order_that_works_on_does_not_give_it_the_shares_again():
    desk = Desk()
    order = desk.send(limit_price="99")
    desk.look()
    desk.price("98", volume=Decimal(4))
    desk.venue.bust(desk.last("partial_fill")["execution_id"])
    desk.price("98")
    assert (desk.now(order)["filled_qty"], desk.status(order)) == ("6", "filled")
    assert desk.log.positions() == {"AAPL": 6}


@pytest.mark.parametrize(("quantity", "price"), [("NaN", "1"), ("1", "0"), ("1", "-5")])
def test_positions_that_cannot_be_are_refused(quantity, price):
    with pytest.raises(WireError):
        Desk().hold(quantity, price)


def test_the_log_is_written_as_lines_that_can_be_read_again(tmp_path):
    path = tmp_path / "log.jsonl"
    with EventLog(path) as log:
        desk = Desk(log=log)
        desk.send()
        desk.look()
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines == [json.loads(json.dumps(entry.as_json())) for entry in log.entries()]
    assert [line["kind"] for line in lines] == ["opened", "submitted", "new", "fill"]
    assert lines[-1]["price"] == "100.01"
    assert lines[-1]["sequence"] == 4
    assert [entry.kind for entry in log.entries(after=2)] == ["new", "fill"]
