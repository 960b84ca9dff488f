"""Positions, account and activities through alpaca-py's own client, over a real socket."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, PositionSide
from alpaca.trading.requests import ClosePositionRequest, GetPortfolioHistoryRequest
from django.db import connections

from execution.alpaca_wire.answers import asset_id_of
from execution.models import Account, AccountDay, Order
from execution.services.sessions import close_session
from marketdata import calendar
from ops_console.alpaca_api import closing
from ops_console.scopes import Scope
from risk.selectors import is_engaged
from tests.execution.cases import D, dispatch, filled_order, recorded
from tests.execution.fake_broker import FakeBroker
from tests.factories import MARKET_AT, WALL_NOW, allow_bursts, make_instrument, make_quote, make_strategy
from tests.ops_console.alpaca_api.conftest import KeysOf, LiveServer
from tests.ops_console.alpaca_api.test_orders import limit_order, refusal_of


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


def body_of(error: APIError):
    return error._http_error.response.json()


def test_position_is_the_sum_over_strategies(client: TradingClient, account: Account, broker: FakeBroker):
    make_strategy("momentum")
    filled_order(account, broker, quantity=D(10), price="99")
    filled_order(account, broker, quantity=D(30), price="101", strategy="momentum")
    make_quote(account.feed, last="102")
    held = client.get_open_position("AAPL")
    assert (held.qty, held.qty_available, held.side) == ("40", "40", PositionSide.LONG)
    assert (held.avg_entry_price, held.current_price, held.market_value) == ("100.5", "102", "4080.00")
    assert (held.unrealized_pl, held.cost_basis) == ("60.00", "4020.00")
    assert client.get_open_position(asset_id_of("AAPL")) == held
    assert client.get_all_positions() == [held]
    account_now = client.get_account()
    assert (account_now.cash, account_now.long_market_value, account_now.equity) == ("95980.00", "4080.00", "100060.00")


def test_short_position_is_negative(client: TradingClient, account: Account, broker: FakeBroker):
    filled_order(account, broker, quantity=D(10), side="sell")
    held = client.get_open_position("AAPL")
    assert (held.qty, held.qty_available, held.side) == ("-10", "-10", PositionSide.SHORT)
    assert client.get_account().short_market_value == "-1000.00"
    closing_order = client.close_position("AAPL")
    assert (closing_order.side, closing_order.qty) == (OrderSide.BUY, "10")


@pytest.mark.parametrize(
    ("options", "quantity"),
    [(None, "15"), (ClosePositionRequest(qty="4"), "4"), (ClosePositionRequest(percentage="50"), "7")],
)
def test_close_is_an_order_that_only_reduces(
    client: TradingClient, account: Account, broker: FakeBroker, options, quantity: str
):
    filled_order(account, broker, quantity=D(15))
    told = client.close_position("AAPL", options)
    assert (told.side, told.qty) == (OrderSide.SELL, quantity)
    assert Order.objects.get(client_order_id=told.client_order_id).reduce_only


def test_same_close_twice_is_two_orders(client: TradingClient, account: Account, broker: FakeBroker):
    filled_order(account, broker, quantity=D(15))
    first, second = (client.close_position("AAPL", ClosePositionRequest(qty="5")) for _ in range(2))
    assert first.id != second.id


@pytest.mark.parametrize("query", [{"qty": "0"}, {"percentage": "101"}, {"qty": "1", "percentage": "1"}, {"qty": "x"}])
def test_close_of_nonsense_is_refused(client: TradingClient, account: Account, broker: FakeBroker, query):
    filled_order(account, broker, quantity=D(15))
    assert refusal_of(lambda: client.delete("/positions/AAPL", query)).status_code == 422
    assert Order.objects.count() == 1


def test_shares_that_an_order_holds_are_not_closed_twice(client: TradingClient, account: Account, broker: FakeBroker):
    filled_order(account, broker, quantity=D(15))
    client.submit_order(limit_order(102, side=OrderSide.SELL, qty=10))
    assert client.get_open_position("AAPL").qty_available == "5"
    refused = refusal_of(lambda: client.close_position("AAPL", ClosePositionRequest(qty="6")))
    assert (refused.status_code, refused.code) == (403, 40310000)
    body = body_of(refused)
    assert (body["symbol"], body["available"], body["existing_qty"], body["held_for_orders"]) == (
        "AAPL",
        "5",
        "15",
        "10",
    )


def test_position_of_several_strategies_is_closed_by_the_tokens_own(
    server: LiveServer, client: TradingClient, account: Account, broker: FakeBroker, keys_of: KeysOf
):
    make_strategy("momentum")
    make_strategy("reversal")
    filled_order(account, broker, quantity=D(10), strategy="momentum")
    filled_order(account, broker, quantity=D(5), strategy="reversal")
    assert "held by momentum, reversal" in refusal_of(lambda: client.close_position("AAPL")).message
    keys = keys_of(strategy="momentum")
    told = TradingClient(keys.key_id, keys.secret, url_override=server.url).close_position("AAPL")
    assert told.qty == "10"
    assert Order.objects.get(client_order_id=told.client_order_id).strategy.name == "momentum"


def test_close_all_waits_for_the_cancels(client: TradingClient, account: Account, broker: FakeBroker):
    make_instrument("IBM")
    make_quote(account.feed, "IBM")
    filled_order(account, broker, quantity=D(15))
    filled_order(account, broker, quantity=D(3), symbol="IBM")
    client.submit_order(limit_order(102, side=OrderSide.SELL, qty=15))
    dispatch(account, broker)
    ended = Event()

    def confirm() -> None:
        try:
            while not ended.wait(0.05):
                dispatch(account, broker)
                recorded(account, broker)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(confirm)
        try:
            answers = client.close_all_positions(cancel_orders=True)
        finally:
            ended.set()
        running.result()
    assert [(each.symbol, each.status, each.body.qty) for each in answers] == [("AAPL", 200, "15"), ("IBM", 200, "3")]


def test_close_all_says_what_is_still_held(
    client: TradingClient, account: Account, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(closing, "PATIENCE_LOOKS", 1)
    filled_order(account, broker, quantity=D(15))
    client.submit_order(limit_order(102, side=OrderSide.SELL, qty=15))
    dispatch(account, broker)
    answers = client.close_all_positions(cancel_orders=True)
    assert [(each.status, each.body.code, each.body.available) for each in answers] == [(403, 40310000, 0)]


def test_suspension_engages_the_kill_switch_and_two_people_release_it(client: TradingClient, account: Account):
    order = client.submit_order(limit_order())
    wanted = client.get_account_configurations()
    wanted.suspend_trade = True
    assert client.set_account_configurations(wanted).suspend_trade
    assert is_engaged(account.scope)
    assert client.get_order_by_id(order.id).status.value == "canceled"
    wanted.suspend_trade = False
    refused = refusal_of(lambda: client.set_account_configurations(wanted))
    assert (refused.status_code, refused.code) == (403, 40310000)
    assert "two people" in refused.message
    assert is_engaged(account.scope)


def test_other_configurations_cannot_be_changed(client: TradingClient, account: Account):
    wanted = client.get_account_configurations()
    wanted.no_shorting = True
    assert refusal_of(lambda: client.set_account_configurations(wanted)).status_code == 422
    assert not is_engaged(account.scope)


def test_reader_may_not_suspend(server: LiveServer, keys_of: KeysOf, account: Account):
    keys = keys_of(Scope.READ)
    reader = TradingClient(keys.key_id, keys.secret, url_override=server.url)
    assert refusal_of(lambda: reader.patch("/account/configurations", {"suspend_trade": True})).status_code == 403
    assert not is_engaged(account.scope)


def test_activities_come_in_pages(client: TradingClient, account: Account, broker: FakeBroker):
    allow_bursts()
    order = filled_order(account, broker, quantity=D(1))
    more = client.submit_order(limit_order(100, qty=5))
    dispatch(account, broker)
    for number in range(5):
        broker.fill(more.client_order_id, 1, "100", fee=D("0.01") if number else D(0))
    recorded(account, broker)
    fills = client.get("/account/activities/FILL", {"direction": "asc"})
    assert [fill["cum_qty"] for fill in fills] == ["1", "1", "2", "3", "4", "5"]
    assert [fill["leaves_qty"] for fill in fills] == ["0", "4", "3", "2", "1", "0"]
    assert fills[0]["order_id"] == str(client.get_order_by_client_id(order.client_order_id).id)
    everything = client.get("/account/activities")
    assert [each["activity_type"] for each in everything].count("FEE") == 4
    assert [each["activity_type"] for each in everything].count("CSD") == 1
    for direction in ("asc", "desc"):
        whole = client.get("/account/activities", {"direction": direction})
        paged, token = [], ""
        while page := client.get("/account/activities", {"direction": direction, "page_size": 2, "page_token": token}):
            paged += page
            token = page[-1]["id"]
        assert paged == whole
        assert len({each["id"] for each in whole}) == 11


@pytest.mark.parametrize(
    "query", [{"page_token": "nonsense"}, {"page_size": "101"}, {"activity_types": "NONE"}, {"date": "9999-12-31"}]
)
def test_unreadable_activity_query_is_refused(client: TradingClient, query):
    refused = refusal_of(lambda: client.get("/account/activities", query))
    assert (refused.status_code, refused.code) == (422, 40010001)


def test_activities_of_a_day_and_of_a_span(client: TradingClient, account: Account, broker: FakeBroker):
    filled_order(account, broker)
    path = "/account/activities/FILL"
    assert len(client.get(path, {"date": "2012-06-14"})) == 1
    assert client.get(path, {"date": "2012-06-13"}) == []
    assert client.get(path, {"after": MARKET_AT.isoformat()}) == []
    assert client.get(path, {"until": MARKET_AT.isoformat()}) == []


def test_equity_over_time_ends_now(client: TradingClient, account: Account, broker: FakeBroker):
    filled_order(account, broker, quantity=D(10), price="100")
    make_quote(account.feed, last="101")
    told = client.get_portfolio_history(GetPortfolioHistoryRequest(period="1W"))
    assert (told.timeframe, told.base_value, told.equity) == ("1D", 100_000, [100_010])
    assert (told.timestamp, told.profit_loss) == ([int(MARKET_AT.timestamp())], [10])
    close_session(account=account, day=calendar.trading_date(MARKET_AT), wall_now=WALL_NOW)
    closed = AccountDay.objects.get(account=account)
    told = client.get_portfolio_history()
    assert (told.equity, told.profit_loss, told.base_value) == ([closed.equity], [closed.pnl], 100_000)
    refused = refusal_of(lambda: client.get_portfolio_history(GetPortfolioHistoryRequest(timeframe="1Min")))
    assert refused.status_code == 422
