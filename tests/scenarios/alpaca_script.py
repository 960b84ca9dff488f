"""A program written for Alpaca, with alpaca-py and nothing else: three addresses and a key in, what happened out.

It buys, waits, changes, cancels and closes as such programs do. The result holds only what has to be the same wherever
it runs: words, shares, error codes. Prices and ids are another market's and another broker's own.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import uuid4

from alpaca.common.exceptions import APIError
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import StockBarsRequest, StockLatestQuoteRequest
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetClass, AssetStatus, OrderClass, OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)

from tests.scenarios.listening import Ears

SYMBOL, OTHER = "IBM", "MSFT"
WEEK = (date(2012, 6, 11), date(2012, 6, 17))
BARS = (datetime(2012, 6, 1, tzinfo=UTC), datetime(2012, 6, 13, 12, tzinfo=UTC))
# How far an order gets before it rests, and in how many pieces it fills, is the market's affair.
ON_THE_WAY = {"accepted", "pending_new", "partial_fill"}
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass
class Results:
    """What the script saw, by what it did."""

    seen: dict[str, object] = field(default_factory=dict)

    def note(self, name: str, value: object) -> None:
        self.seen[name] = value


def run(*, url: str, data_url: str, stream_url: str, key_id: str, secret: str) -> dict[str, object]:
    """Trade; return what happened."""
    trading = TradingClient(key_id, secret, url_override=url)
    data = StockHistoricalDataClient(key_id, secret, url_override=data_url)
    results = Results()
    look_around(trading, data, results)
    with Ears(key_id, secret, stream_url) as ears:
        script = Script(trading, ears, results, price_of(data, SYMBOL))
        script.work_an_order()
        script.be_refused()
        script.hold_and_close_a_position()
        script.close_everything()
    return results.seen


def run_groups(*, url: str, data_url: str, stream_url: str, key_id: str, secret: str) -> dict[str, object]:
    """Trade with brackets; return what happened."""
    trading = TradingClient(key_id, secret, url_override=url)
    data = StockHistoricalDataClient(key_id, secret, url_override=data_url)
    results = Results()
    with Ears(key_id, secret, stream_url) as ears:
        script = Script(trading, ears, results, price_of(data, SYMBOL))
        script.cancel_a_bracket()
        script.leave_a_bracket()
    return results.seen


def look_around(trading: TradingClient, data: StockHistoricalDataClient, results: Results) -> None:
    """Read what does not change."""
    account = trading.get_account()
    results.note("account", [str(account.status.value), account.currency, account.trading_blocked, account.cash])
    results.note("suspended", trading.get_account_configurations().suspend_trade)
    clock = trading.get_clock()
    results.note("clock", [clock.is_open, clock.next_close.isoformat(), clock.next_open.isoformat()])
    days = trading.get_calendar(GetCalendarRequest(start=WEEK[0], end=WEEK[1]))
    results.note("calendar", [(str(day.date), str(day.open), str(day.close)) for day in days])
    assets = trading.get_all_assets(GetAssetsRequest(status=AssetStatus.ACTIVE, asset_class=AssetClass.US_EQUITY))
    results.note("assets", sorted((each.symbol, str(each.id), each.exchange.value, each.tradable) for each in assets))
    results.note("asset", trading.get_asset(SYMBOL).symbol)
    wanted = StockBarsRequest(symbol_or_symbols=[SYMBOL, OTHER], timeframe=TimeFrame.Day, start=BARS[0], end=BARS[1])
    bars = data.get_stock_bars(wanted).data
    results.note(
        "bars",
        {
            symbol: [(bar.timestamp.isoformat(), bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in rows]
            for symbol, rows in sorted(bars.items())
        },
    )
    quote = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=SYMBOL))[SYMBOL]
    results.note("quote", 0 < quote.bid_price <= quote.ask_price)


def price_of(data: StockHistoricalDataClient, symbol: str) -> float:
    return data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=symbol))[symbol].ask_price


@dataclass
class Script:
    """The part that trades, around a price."""

    trading: TradingClient
    ears: Ears
    results: Results
    price: float
    prefix: str = field(default_factory=lambda: uuid4().hex[:8])

    def work_an_order(self) -> None:
        """Place an order that rests, find it, change it, cancel it."""
        first = self.trading.submit_order(self.limit("rest", 10, 0.97))
        self.ears.wait_for("new", self.name("rest"))
        self.results.note("rests", self.trading.get_order_by_client_id(self.name("rest")).status.value)
        self.results.note("found", self.trading.get_order_by_id(first.id).client_order_id == self.name("rest"))
        self.results.note("open", self.listed(QueryOrderStatus.OPEN))
        terms = ReplaceOrderRequest(qty=12, limit_price=round(self.price * 0.98, 2), client_order_id=self.name("new"))
        second = self.trading.replace_order_by_id(first.id, terms)
        self.ears.wait_for("replaced", self.name("rest"))
        self.ears.wait_for("new", self.name("new"))
        replaced = self.trading.get_order_by_id(first.id)
        self.results.note("replaced", [replaced.status.value, replaced.replaced_by == second.id])
        now = self.trading.get_order_by_id(second.id)
        self.results.note("successor", [now.status.value, now.qty, now.replaces == first.id])
        self.trading.cancel_order_by_id(second.id)
        self.ears.wait_for("canceled", self.name("new"))
        self.results.note("canceled", self.trading.get_order_by_id(second.id).status.value)
        self.results.note("closed", self.listed(QueryOrderStatus.CLOSED))
        self.results.note("told of the first", self.told("rest"))
        self.results.note("told of the second", self.told("new"))

    def be_refused(self) -> None:
        """Ask for what cannot be."""
        ask = self.trading
        self.refusal("a name twice", lambda: ask.submit_order(self.limit("rest", 10, 0.97)))
        self.refusal("no such symbol", lambda: ask.submit_order(self.limit("none", 10, 0.97, symbol="NOSUCH")))
        self.refusal("half a cent", lambda: ask.submit_order(self.limit("cent", 10, 0.97, extra=0.005)))
        order = ask.get_order_by_client_id(self.name("rest"))
        self.refusal("cancel what is over", lambda: ask.cancel_order_by_id(order.id))
        self.refusal(
            "replace what is over", lambda: ask.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=1.0))
        )
        self.refusal("no such order", lambda: ask.get_order_by_id(NOBODY))
        self.refusal("no such name", lambda: ask.get_order_by_client_id(self.name("nobody")))
        self.refusal("no such position", lambda: ask.get_open_position(SYMBOL))
        self.refusal("close no position", lambda: ask.close_position(SYMBOL))
        self.refusal("no such asset", lambda: ask.get_asset("NOSUCH"))

    def hold_and_close_a_position(self) -> None:
        """Buy, close a number of shares, then a share of the rest; be refused what an order holds."""
        self.trading.submit_order(self.market("buy", 20))
        bought = self.ears.wait_for("fill", self.name("buy"))
        self.results.note("bought", [bought.order.filled_qty, bought.position_qty])
        near = abs(float(bought.order.filled_avg_price) / self.price - 1) < 0.05
        self.results.note("at the market", near)
        self.results.note("held", self.held())
        for options, left in ((ClosePositionRequest(qty="5"), 15), (ClosePositionRequest(percentage="50"), 8)):
            closing = self.trading.close_position(SYMBOL, options)
            sold = self.ears.wait_for("fill", closing.client_order_id)
            self.results.note(f"closed down to {left}", [closing.side.value, closing.qty, sold.position_qty])
        self.trading.submit_order(self.limit("sell", 8, 1.03, side=OrderSide.SELL))
        self.ears.wait_for("new", self.name("sell"))
        self.refusal("close what an order holds", lambda: self.trading.close_position(SYMBOL))
        canceled = self.trading.cancel_orders()
        self.ears.wait_for("canceled", self.name("sell"))
        self.results.note("cancel all", [each.status for each in canceled])

    def close_everything(self) -> None:
        """Cancel and close all there is."""
        self.trading.submit_order(self.market("other", 3, symbol=OTHER))
        self.ears.wait_for("fill", self.name("other"))
        self.trading.submit_order(self.limit("last", 8, 1.03, side=OrderSide.SELL))
        self.ears.wait_for("new", self.name("last"))
        answers = self.trading.close_all_positions(cancel_orders=True)
        self.ears.wait_for("canceled", self.name("last"))
        self.results.note("close all", sorted((each.symbol, each.status, each.body.qty) for each in answers))
        for each in answers:
            self.ears.wait_for("fill", each.body.client_order_id)
        self.results.note("held at the end", self.held())
        self.results.note("told of the purchase", self.told("buy"))
        self.results.note("open at the end", self.listed(QueryOrderStatus.OPEN))
        fills = self.trading.get("/account/activities/FILL", {"page_size": 100})
        totals: dict[tuple[str, str], float] = {}
        for fill in fills:
            key = (fill["symbol"], fill["side"])
            totals[key] = totals.get(key, 0) + float(fill["qty"])
        self.results.note("fills", sorted(totals.items()))

    def cancel_a_bracket(self) -> None:
        """Cancel a bracket whose entry rests: its legs go with it."""
        entry = self.trading.submit_order(self.bracket("resting", limit_price=round(self.price * 0.97, 2)))
        self.ears.wait_for("new", self.name("resting"))
        self.results.note("legs wait", self.legs_of(entry.id))
        self.results.note("in the open list", self.listed(QueryOrderStatus.OPEN))
        self.trading.cancel_order_by_id(entry.id)
        for leg in entry.legs:
            self.ears.wait_for("canceled", leg.client_order_id)
        self.results.note("legs of a canceled entry", self.legs_of(entry.id))

    def leave_a_bracket(self) -> None:
        """Fill the entry of a bracket, then cancel one leg: the other goes with it."""
        entry = self.trading.submit_order(self.bracket("entered"))
        self.ears.wait_for("fill", self.name("entered"))
        profit = entry.legs[0]
        self.ears.wait_for("new", profit.client_order_id)
        self.results.note("legs of a filled entry", self.legs_of(entry.id))
        self.refusal("close what the legs hold", lambda: self.trading.close_position(SYMBOL))
        self.trading.cancel_order_by_id(profit.id)
        for leg in entry.legs:
            self.ears.wait_for("canceled", leg.client_order_id)
        self.results.note("legs in the end", self.legs_of(entry.id))
        closing = self.trading.close_position(SYMBOL)
        self.ears.wait_for("fill", closing.client_order_id)
        self.results.note("held at the end", self.held())

    # small words

    def name(self, word: str) -> str:
        return f"{self.prefix}-{word}"

    def limit(self, word, quantity, share, *, side=OrderSide.BUY, symbol=SYMBOL, extra=0.0):
        return LimitOrderRequest(
            symbol=symbol,
            qty=quantity,
            side=side,
            time_in_force=TimeInForce.DAY,
            limit_price=round(self.price * share, 2) + extra,
            client_order_id=self.name(word),
        )

    def market(self, word, quantity, *, symbol=SYMBOL):
        return MarketOrderRequest(
            symbol=symbol,
            qty=quantity,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.DAY,
            client_order_id=self.name(word),
        )

    def bracket(self, word, limit_price=None):
        values = {
            "symbol": SYMBOL,
            "qty": 10,
            "side": OrderSide.BUY,
            "time_in_force": TimeInForce.DAY,
            "client_order_id": self.name(word),
            "order_class": OrderClass.BRACKET,
            "take_profit": TakeProfitRequest(limit_price=round(self.price * 1.05, 2)),
            "stop_loss": StopLossRequest(stop_price=round(self.price * 0.95, 2)),
        }
        if limit_price is None:
            return MarketOrderRequest(**values)
        return LimitOrderRequest(limit_price=limit_price, **values)

    def legs_of(self, order_id) -> list[tuple[str, str, str]]:
        order = self.trading.get_order_by_id(order_id, GetOrderByIdRequest(nested=True))
        return [(leg.order_type.value, leg.status.value, leg.qty) for leg in order.legs]

    def listed(self, status: QueryOrderStatus) -> list[tuple[str, str, str]]:
        orders = self.trading.get_orders(GetOrdersRequest(status=status, limit=100))
        own = [each for each in orders if each.client_order_id.startswith(self.prefix)]
        return [(each.client_order_id.removeprefix(self.prefix), each.status.value, each.qty) for each in own]

    def held(self) -> list[tuple[str, str, str]]:
        return sorted((each.symbol, each.qty, each.side.value) for each in self.trading.get_all_positions())

    def told(self, word: str) -> list[str]:
        return [event for event in self.ears.events_of(self.name(word)) if event not in ON_THE_WAY]

    def refusal(self, name: str, ask) -> None:
        try:
            ask()
        except APIError as error:
            self.results.note(name, [error.status_code, error.code])
        else:
            self.results.note(name, "was not refused")
