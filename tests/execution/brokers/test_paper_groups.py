"""Groups at the paper exchange: legs are held, one exit ends the other, and no exit sells what was not bought."""

from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.brokers.base import (
    BrokerOrder,
    BrokerRejected,
    DuplicateClientOrderId,
    LegRequest,
    OrderNotCancelable,
    OrderRequest,
)
from execution.brokers.paper import PaperBroker
from execution.matching.events import MarketEvent
from execution.models.paper import PaperOrder
from tests.execution.brokers.contract import AT, make_request
from tests.execution.brokers.paper_cases import OPEN, THURSDAY, closing, opening, session_end, tick, venue_state

D = Decimal
pytestmark = pytest.mark.django_db


@pytest.fixture
def broker() -> PaperBroker:
    return PaperBroker("groups", starting_cash=D(100_000))


def bracket(name: str = "one", profit: str = "110", stop: str = "95", **fields: Any) -> OrderRequest:
    """Make a bracket to buy 10 AAPL at the market."""
    legs = (
        LegRequest(role="take_profit", client_order_id=f"{name}-TP", limit_price=D(profit)),
        LegRequest(role="stop_loss", client_order_id=f"{name}-SL", stop_price=D(stop)),
    )
    return make_request(name, **{"order_class": "bracket", "legs": legs} | fields)


def oco(name: str = "exit", **fields: Any) -> OrderRequest:
    """Make an OCO to sell 10 AAPL at 110 or when 95 is reached."""
    leg = LegRequest(role="stop_loss", client_order_id=f"{name}-SL", stop_price=D(95))
    values = {"side": "sell", "order_type": "limit", "limit_price": D(110), "order_class": "oco", "legs": (leg,)}
    return make_request(name, **values | fields)


def statuses(broker: PaperBroker, *names: str) -> list[str]:
    found = [broker.find(name) for name in names]
    return [order.status if order is not None else "unknown" for order in found]


def told(broker: PaperBroker) -> list[tuple[str, str]]:
    return [(report.client_order_id, report.kind) for report in broker.reports_since(0)]


def shares(broker: PaperBroker) -> Decimal:
    return sum((position.quantity for position in broker.positions()), D(0))


def test_legs_are_held_and_shown_with_their_entry(broker: PaperBroker) -> None:
    answer = broker.submit(bracket(), at=AT)
    assert [(leg.role, leg.status, leg.client_order_id) for leg in answer.legs] == [
        ("take_profit", "held", "one-TP"),
        ("stop_loss", "held", "one-SL"),
    ]
    assert len({order.broker_order_id for order in (answer, *answer.legs)}) == 3
    assert broker.find("one") == answer
    assert broker.open_orders() == [answer]
    assert told(broker) == [("one", "accepted")]


def test_held_legs_meet_no_market(broker: PaperBroker) -> None:
    broker.submit(bracket(order_type="limit", limit_price=D(90)), at=AT)
    broker.advance([opening("100"), tick("120"), tick("94", minute=2)])
    assert statuses(broker, "one", "one-TP", "one-SL") == ["accepted", "held", "held"]


def test_the_entrys_fill_lets_the_legs_work_from_the_next_event_on(broker: PaperBroker) -> None:
    broker.submit(bracket(profit="99.50", stop="95"), at=AT)
    broker.advance([opening("100")])
    assert statuses(broker, "one", "one-TP", "one-SL") == ["filled", "accepted", "accepted"]
    assert told(broker)[1:] == [("one", "fill"), ("one-TP", "accepted"), ("one-SL", "accepted")]


@pytest.mark.parametrize(("price", "filled", "other"), [("111", "one-TP", "one-SL"), ("94", "one-SL", "one-TP")])
def test_one_exit_filled_cancels_the_other(broker: PaperBroker, price: str, filled: str, other: str) -> None:
    broker.submit(bracket(), at=AT)
    broker.advance([opening("100"), tick(price)])
    assert statuses(broker, filled, other) == ["filled", "canceled"]
    assert told(broker)[-2:] == [(filled, "fill"), (other, "canceled")]
    assert shares(broker) == 0


def test_an_entry_filled_in_part_holds_the_legs_on(broker: PaperBroker) -> None:
    broker.submit(bracket(), at=AT)
    broker.advance([opening("100", volume=40), tick("111", volume=0)])
    assert statuses(broker, "one", "one-TP", "one-SL") == ["partially_filled", "held", "held"]
    assert shares(broker) == 4


def test_an_exit_filled_in_part_leaves_the_other_the_rest(broker: PaperBroker) -> None:
    broker.submit(bracket(), at=AT)
    broker.advance([opening("100"), tick("111", volume=40)])
    broker.advance([tick("94", minute=2)])
    profit, stop = broker.find("one-TP"), broker.find("one-SL")
    assert profit is not None
    assert stop is not None
    assert (profit.status, profit.filled_quantity) == ("canceled", 4)
    assert (stop.status, stop.filled_quantity, stop.reason) == (
        "canceled",
        6,
        "the other exit of its group has executed the rest",
    )
    assert shares(broker) == 0
    assert told(broker)[-3:] == [("one-SL", "fill"), ("one-SL", "canceled"), ("one-TP", "canceled")]


def test_one_event_reaches_one_exit(broker: PaperBroker) -> None:
    broker.submit(bracket(profit="94", stop="95"), at=AT)
    broker.advance([opening("100"), tick("94.5")])
    assert statuses(broker, "one-TP", "one-SL") == ["canceled", "filled"]
    assert shares(broker) == 0


@pytest.mark.parametrize("name", ["one", "one-TP", "one-SL"])
def test_a_cancel_of_one_cancels_all_that_wait(broker: PaperBroker, name: str) -> None:
    broker.submit(bracket(), at=AT)
    broker.cancel(client_order_id=name, broker_order_id="", at=AT)
    assert statuses(broker, "one", "one-TP", "one-SL") == ["canceled"] * 3
    assert {each for each, kind in told(broker) if kind == "canceled"} == {"one", "one-TP", "one-SL"}
    with pytest.raises(OrderNotCancelable):
        broker.cancel(client_order_id="one-SL", broker_order_id="", at=AT)


@pytest.mark.parametrize("name", ["one-TP", "one-SL"])
def test_a_cancel_of_a_working_exit_cancels_the_other(broker: PaperBroker, name: str) -> None:
    broker.submit(bracket(), at=AT)
    broker.advance([opening("100")])
    broker.cancel(client_order_id=name, broker_order_id="", at=OPEN + timedelta(minutes=1))
    assert statuses(broker, "one", "one-TP", "one-SL") == ["filled", "canceled", "canceled"]


def test_an_entry_that_expires_takes_its_legs_with_it(broker: PaperBroker) -> None:
    broker.submit(bracket(order_type="limit", limit_price=D(90)), at=AT)
    broker.advance([opening("100"), closing("100"), session_end()])
    assert statuses(broker, "one", "one-TP", "one-SL") == ["expired", "canceled", "canceled"]


def test_exits_for_the_day_expire_and_gtc_ones_stay(broker: PaperBroker) -> None:
    broker.submit_many([bracket(), bracket("two", time_in_force="gtc")], at=AT)
    broker.advance([opening("100"), closing("100"), session_end()])
    assert statuses(broker, "one-TP", "one-SL", "two-TP", "two-SL") == ["expired", "expired", "accepted", "accepted"]
    broker.advance([opening("112", days=1)])
    assert statuses(broker, "two-TP", "two-SL") == ["filled", "canceled"]


def test_an_oco_works_at_once_and_one_ends_the_other(broker: PaperBroker) -> None:
    broker.submit(make_request("held"), at=AT)
    broker.submit(oco(), at=AT)
    assert statuses(broker, "exit", "exit-SL") == ["accepted", "accepted"]
    broker.advance([opening("100"), tick("94")])
    assert statuses(broker, "exit", "exit-SL") == ["canceled", "filled"]
    assert shares(broker) == 0


def test_an_oto_has_one_exit(broker: PaperBroker) -> None:
    leg = LegRequest(role="stop_loss", client_order_id="one-SL", stop_price=D(95), limit_price=D(94))
    broker.submit(make_request("one", order_class="oto", legs=(leg,)), at=AT)
    broker.advance([opening("100"), tick("94.5")])
    assert statuses(broker, "one", "one-SL") == ["filled", "filled"]


def test_a_split_cancels_a_group_whole(broker: PaperBroker) -> None:
    broker.submit(bracket(order_type="limit", limit_price=D(90), time_in_force="gtc"), at=AT)
    broker.apply_split("AAPL", D(2), THURSDAY, at=AT)
    assert statuses(broker, "one", "one-TP", "one-SL") == ["canceled"] * 3


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (bracket(profit="110.001"), "sub_penny_price"),
        (bracket(time_in_force="opg"), "invalid_time_in_force"),
        (bracket(order_class="oto"), "malformed"),
        (bracket(order_class="ladder"), "malformed"),
        (bracket(legs=()), "malformed"),
    ],
)
def test_a_group_that_is_refused_leaves_nothing(broker: PaperBroker, request_: OrderRequest, code: str) -> None:
    with pytest.raises(BrokerRejected) as refused:
        broker.submit(request_, at=AT)
    assert refused.value.code == code
    assert broker.find("one") is None
    assert not PaperOrder.objects.exists()


def test_ids_of_legs_are_used_once_too(broker: PaperBroker) -> None:
    answers = broker.submit_many([bracket(), make_request("one-TP"), make_request("two")], at=AT)
    assert [type(answer) for answer in answers] == [BrokerOrder, DuplicateClientOrderId, BrokerOrder]
    broker.submit(make_request("three-SL"), at=AT)
    with pytest.raises(DuplicateClientOrderId):
        broker.submit(bracket("three"), at=AT)


def test_reports_and_orders_stay_numbered_without_gaps(broker: PaperBroker) -> None:
    broker.submit_many([make_request("a"), bracket("b"), make_request("c"), oco("d"), bracket("e")], at=AT)
    broker.submit(make_request("f"), at=AT)
    broker.advance([opening("100"), tick("111")])
    numbers = [report.sequence for report in broker.reports_since(0)]
    assert numbers == list(range(1, len(numbers) + 1))
    sequences = sorted(PaperOrder.objects.values_list("sequence", flat=True))
    assert sequences == list(range(1, 12))


def test_the_same_events_told_again_change_nothing(broker: PaperBroker) -> None:
    broker.submit(bracket(), at=AT)
    events: list[MarketEvent] = [
        opening("100"),
        tick("111", volume=40),
        tick("94", minute=2, volume=30),
        tick("112", minute=3),
    ]
    broker.advance(events)
    before = venue_state("groups")
    broker.advance(events)
    for event in events:
        broker.advance([event])
    assert venue_state("groups") == before


_runs = count(1)
steps = st.lists(
    st.tuples(
        st.integers(90, 115), st.sampled_from([0, 10, 30, 70, 200]), st.sampled_from(["", "", "", "TP", "SL", "one"])
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=60)
@given(
    path=steps,
    kind=st.sampled_from(["bracket", "oto-TP", "oto-SL", "oco"]),
    side=st.sampled_from(["buy", "sell"]),
    at_once=st.booleans(),
)
def test_exits_never_trade_more_than_the_entry_and_never_both_in_full(
    path: list[tuple[int, int, str]], kind: str, side: str, at_once: bool
) -> None:
    broker = PaperBroker(f"machine-{next(_runs)}-{uuid4()}", starting_cash=D(100_000))
    sign = 1 if side == "buy" else -1
    legs = tuple(
        LegRequest(role=role, client_order_id=f"one-{short}", **{price: D(100 + sign * distance)})
        for role, short, price, distance in (
            ("take_profit", "TP", "limit_price", 5),
            ("stop_loss", "SL", "stop_price", -4),
        )
        if kind == "bracket" or kind.endswith(short) or (kind == "oco" and short == "SL")
    )
    fields: dict[str, Any] = {"order_class": kind.split("-")[0], "legs": legs, "time_in_force": "gtc"}
    if kind == "oco":
        broker.submit(make_request("held", side=side, quantity=D(10)), at=AT)
        broker.advance([opening("100")])
        fields |= {"side": "sell" if sign > 0 else "buy", "order_type": "limit", "limit_price": D(100 + sign * 5)}
        broker.submit(make_request("one", **fields), at=OPEN)
    else:
        fields |= {"side": side} | ({} if at_once else {"order_type": "limit", "limit_price": D(100)})
        broker.submit(make_request("one", **fields), at=AT)
        broker.advance([opening("100")])
    for minute, (price, volume, cancel) in enumerate(path, start=1):
        broker.advance([tick(str(price), minute=minute, volume=volume)])
        if cancel:
            name = "one" if cancel == "one" else f"one-{cancel}"
            order = broker.find(name)
            if order is not None and order.status in ("held", "accepted", "partially_filled"):
                broker.cancel(client_order_id=name, broker_order_id="", at=OPEN + timedelta(minutes=minute))
        assert_group_is_sane(broker, kind)


def assert_group_is_sane(broker: PaperBroker, kind: str) -> None:
    orders = {name: broker.find(name) for name in ("one", "one-TP", "one-SL")}
    filled = {name: order.filled_quantity if order else D(0) for name, order in orders.items()}
    exits = filled["one-TP"] + filled["one-SL"] + (filled["one"] if kind == "oco" else D(0))
    entered = D(10) if kind == "oco" else filled["one"]
    assert exits <= entered
    if kind != "oco":
        legs = [orders["one-TP"], orders["one-SL"]]
        working = [leg for leg in legs if leg is not None and leg.status in ("accepted", "partially_filled")]
        entry = orders["one"]
        assert entry is not None
        assert not working or entry.status == "filled"
        if entry.status in ("canceled", "expired"):
            assert all(leg.status == "canceled" for leg in legs if leg is not None)
