"""Orders through alpaca-py's own client, over a real socket."""

from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, TimeInForce
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest

from execution.models import Account, Order
from tests.factories import MARKET_AT


def market_order(**fields):
    values = {"symbol": "AAPL", "qty": 10, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY} | fields
    return MarketOrderRequest(**values)


def limit_order(price=99, **fields):
    values = {"symbol": "AAPL", "qty": 10, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY} | fields
    return LimitOrderRequest(limit_price=price, **values)


def test_submitted_order_is_in_the_book(client: TradingClient, account: Account):
    told = client.submit_order(market_order(client_order_id="mine-1"))
    stored = Order.objects.get(client_order_id="mine-1")
    assert (stored.strategy.name, stored.origin, stored.source_ref) == ("manual", "alpaca_api", "trade-user")
    assert told.client_order_id == "mine-1"
    assert told.status == OrderStatus.ACCEPTED
    assert (told.qty, told.filled_qty) == ("10", "0")
    assert told.submitted_at == MARKET_AT
    assert client.get_order_by_id(told.id) == told
    assert client.get_order_by_client_id("mine-1") == told


def test_account_clock_and_assets(client: TradingClient):
    assert client.get_account().cash == "100000.00"
    assert client.get_clock().is_open
    assert client.get_asset("AAPL").tradable
