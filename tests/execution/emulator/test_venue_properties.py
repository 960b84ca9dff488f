"""Whatever is done to the venue: cash and positions are the sum of the fills, and the stream says the same."""

from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.alpaca_wire.errors import WireError
from execution.emulator.venue import OrderQuery
from execution.emulator.venue.admission import shares_held
from execution.emulator.venue.orders import LIVE
from execution.emulator.venue.values import power_left
from tests.execution.emulator.venue_cases import Desk

SYMBOLS = ("AAPL", "IBM")
FINAL = {"filled", "canceled", "expired", "rejected", "replaced"}
EXITS = {
    "buy": {"take_profit": {"limit_price": "140"}, "stop_loss": {"stop_price": "60"}},
    "sell": {"take_profit": {"limit_price": "60"}, "stop_loss": {"stop_price": "140"}},
}
# Faults that break no rule of arithmetic; overfills and late fills have their own test.
HARMLESS = (
    "fill_before_answer",
    "reject_later",
    "stuck_pending_cancel",
    "fill_while_canceling",
    "cancel_rejected",
    "fill_while_replacing",
    "stuck_pending_replace",
)
prices = st.integers(80, 120)
orders = st.tuples(
    st.just("send"),
    st.sampled_from(SYMBOLS),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 400),
    st.sampled_from(["market", "limit", "stop", "stop_limit", "bracket", "oco"]),
    st.sampled_from(["day", "gtc", "ioc", "fok"]),
    prices,
)
steps = st.one_of(
    orders,
    orders,
    st.tuples(st.just("price"), st.sampled_from(SYMBOLS), prices, st.sampled_from([None, 3, 50, 1000])),
    st.tuples(st.just("cancel"), st.integers(0, 50)),
    st.tuples(st.just("replace"), st.integers(0, 50), st.integers(1, 400), prices),
    st.tuples(st.just("look"), st.sampled_from([0, 60, 3600, 12 * 3600, 24 * 3600])),
    st.tuples(st.just("close"), st.sampled_from(SYMBOLS)),
    st.tuples(st.just("cancel_all")),
    st.tuples(st.just("fault"), st.sampled_from(HARMLESS)),
)


def fields_of(side, quantity, kind, time_in_force, price):
    """Return the body of a drawn order."""
    body = {"side": side, "qty": str(quantity), "time_in_force": time_in_force}
    if kind in ("bracket", "oco"):
        exits = EXITS["buy" if (side == "buy") == (kind == "bracket") else "sell"]
        return {**body, "order_class": kind, "limit_price": str(price) if kind == "bracket" else None, **exits}
    limit = str(price) if kind in ("limit", "stop_limit") else None
    stop = str(price) if kind in ("stop", "stop_limit") else None
    return {**body, "type": kind, "limit_price": limit, "stop_price": stop}


class Play:
    """A desk to which drawn things are done."""

    def __init__(self, **options) -> None:
        self.desk = Desk(**options)
        self.desk.price("100", symbol="IBM")

    def do(self, step) -> None:
        """Do one step; what the venue refuses is refused."""
        kind, *given = step
        with suppress(WireError):
            getattr(self, kind)(*given)

    def send(self, symbol, side, *rest) -> None:
        taken = self.desk.send(symbol=symbol, **fields_of(side, *rest))
        state = self.desk.venue.state
        # What closes a position is taken however little is left.
        assert power_left(state) >= 0 or not state.orders.get(taken["id"]).reserve_price

    def price(self, symbol, price, volume) -> None:
        self.desk.price(str(price), symbol=symbol, volume=None if volume is None else Decimal(volume))

    def pick(self, number):
        """Return one of the orders that live, by chance."""
        live = self.desk.venue.orders(OrderQuery(limit=500))
        return live[number % len(live)] if live else None

    def cancel(self, number) -> None:
        if order := self.pick(number):
            self.desk.venue.cancel(order["id"])

    def replace(self, number, quantity, price) -> None:
        order = self.pick(number)
        if order is not None:
            self.desk.change(order, qty=str(quantity), **({"limit_price": str(price)} if order["limit_price"] else {}))

    def look(self, seconds) -> None:
        self.desk.look(self.desk.clock.now() + timedelta(seconds=seconds))

    def close(self, symbol) -> None:
        self.desk.venue.close_position(symbol)

    def cancel_all(self) -> None:
        self.desk.venue.cancel_all()

    def fault(self, kind) -> None:
        self.desk.fault(kind, times=1)


def check_books(desk: Desk) -> None:
    """Cash and positions are the sum of the fills, in the log, in the activities and in the answers."""
    ledger, log = desk.venue.state.ledger, desk.log
    moved = sum((fill.signed_quantity * fill.price for fill in log.fills()), Decimal(0))
    assert ledger.cash == desk.venue.state.settings.starting_cash - moved
    held = defaultdict(Decimal)
    for fill in log.fills():
        held[fill.symbol] += fill.signed_quantity
    expected = {symbol: quantity for symbol, quantity in held.items() if quantity}
    assert expected == log.positions() == {name: each.quantity for name, each in ledger.holdings.items()}
    assert {p["symbol"]: Decimal(p["qty"]) for p in desk.venue.positions()} == expected


def check_orders(desk: Desk, *, exact: bool = True) -> None:
    """No order executes more than it was for, and what is open closes no more than is held."""
    state = desk.venue.state
    for order in state.orders:
        if exact:
            assert order.filled_quantity + order.carried <= order.body.quantity
        assert order.status in LIVE | FINAL
        assert (order.status == "filled") <= (order.working.leaves_quantity <= 0)
    if not exact:
        return
    held = defaultdict(Decimal)
    for fill in desk.log.fills():
        before = held[fill.symbol]
        held[fill.symbol] += fill.signed_quantity
        assert before * held[fill.symbol] >= 0, "one execution crossed zero"
    for symbol, holding in state.ledger.holdings.items():
        side = "sell" if holding.quantity > 0 else "buy"
        closing = [o for o in state.orders.live(symbol) if o.body.side == side and not o.reserve_price]
        assert shares_held(closing) <= abs(holding.quantity)


def check_stream(desk: Desk) -> None:
    """The stream's executions add up to each order's, and its newest status is the true one."""
    told, statuses = defaultdict(Decimal), {}
    seen = set()
    for message in desk.messages:
        data = message["data"]
        order = data["order"]
        if data["event"] in ("fill", "partial_fill"):
            assert data["execution_id"] not in seen
            seen.add(data["execution_id"])
            told[order["id"]] += Decimal(data["qty"])
            assert told[order["id"]] == Decimal(order["filled_qty"])
        statuses[order["id"]] = order["status"]
    for order in desk.venue.state.orders:
        assert told[order.id] == order.filled_quantity
        # A replacement is told of when it takes over.
        assert statuses.get(order.id, order.status) == order.status or order.waits_for
        assert desk.log.orders()[order.id] == order.status


@given(st.lists(steps, max_size=30))
@settings(max_examples=60)
def test_cash_and_positions_are_the_sum_of_the_fills(drawn):
    play = Play()
    for step in drawn:
        play.do(step)
        check_books(play.desk)
        check_orders(play.desk)
    check_stream(play.desk)


@given(st.lists(st.one_of(steps, st.tuples(st.just("fault"), st.sampled_from(["overfill", "late_fill"]))), max_size=25))
@settings(max_examples=30)
def test_the_books_hold_when_the_broker_fills_too_much_or_too_late(drawn):
    play = Play()
    for step in drawn:
        play.do(step)
    check_books(play.desk)
    check_orders(play.desk, exact=False)
    check_stream(play.desk)


@given(st.lists(steps, max_size=25), st.integers(0, 3))
@settings(max_examples=20)
def test_the_same_calls_with_the_same_seed_say_the_same(drawn, seed):
    played = []
    for _ in range(2):
        play = Play(seed=seed)
        for step in drawn:
            play.do(step)
        played.append(([entry.as_json() for entry in play.desk.log.entries()], play.desk.messages))
    assert played[0] == played[1]


@given(st.lists(steps, max_size=25))
@settings(max_examples=20)
def test_nothing_of_a_day_works_after_it_and_a_night_leaves_no_order_halfway(drawn):
    play = Play()
    for step in drawn:
        if step != ("fault", "stuck_pending_cancel") and step != ("fault", "stuck_pending_replace"):
            play.do(step)
    play.desk.look(play.desk.clock.now() + timedelta(days=4))
    play.desk.look()
    for order in play.desk.venue.state.orders.live():
        assert order.body.time_in_force == "gtc"
        assert order.status not in ("pending_cancel", "pending_replace", "pending_new")


def draw_step(chance: Random):
    """Draw one step of a long day; limits and exits near the prices, so that much is filled."""
    symbol, kind = chance.choice(SYMBOLS), chance.random()
    if kind < 0.35:
        forms = ["market", "limit", "limit", "stop", "stop_limit", "bracket", "bracket", "oco"]
        times = chance.choice(["day", "gtc", "gtc", "ioc", "fok"])
        side = chance.choice(["buy", "sell"])
        return "send", symbol, side, chance.randint(1, 300), chance.choice(forms), times, chance.randint(80, 120)
    if kind < 0.65:
        price = chance.randint(80, 120) if chance.random() < 0.8 else chance.choice([55, 145])
        return "price", symbol, price, chance.choice([None, 3, 50, 1000])
    if kind < 0.75:
        return "cancel", chance.randint(0, 50)
    if kind < 0.85:
        return "replace", chance.randint(0, 50), chance.randint(1, 400), chance.randint(80, 120)
    if kind < 0.93:
        return "look", chance.choice([0, 0, 60, 3600, 12 * 3600, 24 * 3600])
    if kind < 0.96:
        return ("close", symbol) if kind < 0.95 else ("cancel_all",)
    return "fault", chance.choice(HARMLESS)


@pytest.mark.parametrize("seed", range(30))
def test_long_days_keep_the_books(seed):
    """Hypothesis draws short lives; most mistakes with groups and replacements needed a long one."""
    chance, play = Random(seed), Play()
    for _ in range(80):
        play.do(draw_step(chance))
        check_books(play.desk)
        check_orders(play.desk)
    check_stream(play.desk)
