"""The cross-check tells what REST knows and nobody told: executions, then ends, each once, nothing too early."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from execution.brokers.base import BrokerOrder, BrokerUnavailable
from execution.models import Account, BrokerMessage, Order
from execution.services.broker_link import note_poll
from execution.services.cross_check import (
    CANCEL_REFUSED_AFTER,
    END_WAITS,
    LONG_OVERLAP,
    MISSED_AFTER,
    MOST_ASKED,
    NAMELESS_AFTER,
    OVERLAP,
    CrossCheck,
)
from execution.services.inbox import POLL, STREAM, Message, fill_key, receive, status_key
from execution.services.updates import Update, take_updates
from tests.factories import MARKET_AT, WALL_NOW, allow_bursts, make_account, make_order

pytestmark = pytest.mark.django_db
D = Decimal


@dataclass
class FakeReads:
    """REST in memory: what it knows, and what it was asked."""

    fills: list[Message] = field(default_factory=list)
    orders: dict[str, BrokerOrder] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    read_from: list[datetime] = field(default_factory=list)
    away: bool = False

    def executions(self, *, after: datetime) -> list[Message]:
        if self.away:
            raise BrokerUnavailable("the broker cannot be reached", code="unreachable")
        self.read_from.append(after)
        return [message for message in self.fills if message.at > after]

    def open_orders(self) -> list[BrokerOrder]:
        return [self.orders[order_id] for order_id in sorted(self.listed)]

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        self.asked.append(broker_order_id)
        return self.orders.get(broker_order_id)


class Case:
    """An account, its orders at the broker, and rounds at instants of the wall."""

    def __init__(self) -> None:
        self.account: Account = make_account()
        allow_bursts()
        self.reads = FakeReads()
        self.check = CrossCheck(account_id=self.account.pk, reader=self.reads)
        self.now = WALL_NOW

    def order(self, status: str = "accepted", **fields: Any) -> Order:
        """Make an order that the broker has and lists as open."""
        order = make_order(self.account, **{"quantity": D(10), "client_order_id": f"c{Order.objects.count()}"} | fields)
        Order.objects.filter(pk=order.pk).update(status=status, broker_order_id=f"B-{order.pk}")
        order.refresh_from_db()
        self.at_broker(order, "accepted")
        return order

    def at_broker(self, order: Order, status: str, filled: str = "0", *, listed: bool | None = None) -> None:
        self.reads.orders[order.broker_order_id] = BrokerOrder(
            client_order_id=order.client_order_id,
            broker_order_id=order.broker_order_id,
            symbol="AAPL",
            side="buy",
            quantity=order.quantity,
            status=status,
            filled_quantity=D(filled),
            average_fill_price=None,
            updated_at=MARKET_AT + timedelta(seconds=9),
        )
        is_open = status in {"accepted", "partially_filled", "pending_cancel"}
        (self.reads.listed.add if (is_open if listed is None else listed) else self.reads.listed.discard)(
            order.broker_order_id
        )

    def execution(self, order: Order, cumulative: str, quantity: str = "4", *, at: int = 1) -> Message:
        """Return an execution as REST tells it: without the order's name."""
        return Message(
            key=fill_key(order.broker_order_id, D(cumulative)),
            source=POLL,
            kind="fill",
            broker_order_id=order.broker_order_id,
            broker_execution_id=f"E-{order.pk}-{cumulative}",
            at=MARKET_AT + timedelta(seconds=at),
            quantity=D(quantity),
            price=D(100),
            cumulative_quantity=D(cumulative),
        )

    def round(self, *, after: timedelta = timedelta(seconds=2), long: bool = False) -> list[tuple[str, str]]:
        """Make a round some wall time later; returns kind and client_order_id of what was told."""
        self.now += after
        checked = self.check.round(wall_now=self.now, long=long)
        self.missing = checked.missing
        note_poll(account_id=self.account.pk, wall_now=self.now, backfilled_until=checked.until)
        return [(row.kind, row.client_order_id) for row in checked.rows]


@pytest.fixture
def case() -> Case:
    return Case()


def test_an_execution_is_told_once_with_its_orders_name(case: Case) -> None:
    order = case.order()
    case.reads.fills = [case.execution(order, "4")]
    case.at_broker(order, "partially_filled", "4")
    assert [case.round(), case.round()] == [[("fill", order.client_order_id)], []]


def test_an_execution_whose_order_the_book_knows_by_name_alone_is_named_by_asking(case: Case) -> None:
    order = case.order()
    case.reads.fills = [case.execution(order, "4")]
    Order.objects.filter(pk=order.pk).update(broker_order_id="", status="submitted")
    assert ("fill", order.client_order_id) in case.round()
    assert case.reads.asked == [order.broker_order_id]


def test_an_execution_of_an_order_that_cannot_be_found_waits_and_is_told_in_the_end(case: Case) -> None:
    order = case.order()
    case.reads.fills = [case.execution(order, "4")]
    Order.objects.filter(pk=order.pk).update(broker_order_id="", status="submitted")
    hidden = case.reads.orders.pop(order.broker_order_id)
    case.reads.listed.clear()
    assert case.round() == []
    case.reads.orders[order.broker_order_id] = hidden
    assert case.round() == [("fill", order.client_order_id)]
    other = replace(case.execution(order, "9"), broker_order_id="B-strange", key="B-strange:fill:9")
    case.reads.fills.append(other)
    assert case.round() == []
    assert case.round(after=NAMELESS_AFTER) == [("fill", "")]


def test_an_end_comes_after_its_executions(case: Case) -> None:
    order = case.order()
    case.reads.fills = [case.execution(order, "4")]
    case.at_broker(order, "canceled", "4")
    assert [kind for kind, _ in case.round()] == ["fill", "canceled"]


def test_an_end_waits_for_executions_that_are_counted_and_not_told(case: Case) -> None:
    order = case.order()
    case.at_broker(order, "canceled", "4")
    assert case.round() == []
    case.reads.fills = [case.execution(order, "4")]
    assert [kind for kind, _ in case.round()] == ["fill", "canceled"]


def test_an_end_does_not_wait_for_ever(case: Case) -> None:
    order = case.order()
    case.at_broker(order, "canceled", "4")
    assert case.round() == []
    assert case.round(after=MISSED_AFTER) == []
    assert "4 shares filled, executions of 0 told" in case.missing[0]
    assert case.round(after=END_WAITS) == [("canceled", order.client_order_id)]
    assert BrokerMessage.objects.get().reason == "only 0 of 4 filled shares were told"


def test_a_filled_order_is_never_ended_without_its_executions(case: Case) -> None:
    order = case.order()
    case.at_broker(order, "filled", "10")
    for _ in range(4):
        assert case.round(after=END_WAITS) == []
    assert case.missing


def test_an_execution_older_than_the_overlap_is_searched_from_the_orders_beginning(case: Case) -> None:
    order = case.order()
    case.check._until = MARKET_AT + timedelta(hours=3)
    case.reads.fills = [case.execution(order, "4")]
    case.at_broker(order, "partially_filled", "4")
    assert case.round() == []
    assert case.round(after=MISSED_AFTER) == [("fill", order.client_order_id)]
    assert case.reads.read_from[-1] == order.market_at - OVERLAP


def test_an_order_absent_from_the_open_list_is_asked_for_and_not_taken_as_gone(case: Case) -> None:
    order = case.order()
    case.reads.listed.clear()
    assert case.round() == []
    assert case.reads.asked == [order.broker_order_id]
    del case.reads.orders[order.broker_order_id]
    assert case.round(after=timedelta(minutes=1)) == []


def test_single_orders_are_asked_a_few_in_a_round_and_all_in_turn(case: Case) -> None:
    orders = [case.order(client_order_id=f"many-{number}") for number in range(MOST_ASKED + 3)]
    case.reads.listed.clear()
    case.round()
    assert len(case.reads.asked) == MOST_ASKED
    case.round()
    assert sorted(case.reads.asked) == sorted(order.broker_order_id for order in orders)


@pytest.mark.parametrize("ending", ["canceled", "expired", "rejected", "replaced"])
def test_every_end_is_told_once(case: Case, ending: str) -> None:
    order = case.order()
    case.at_broker(order, ending)
    assert [case.round(), case.round(after=timedelta(minutes=1))] == [[(ending, order.client_order_id)], []]


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ("submitted", "accepted", True),
        ("held", "accepted", True),
        ("held", "held", False),
        ("accepted", "accepted", False),
    ],
)
def test_an_acceptance_is_told_where_the_book_waits_for_it(case: Case, ours: str, theirs: str, told: bool) -> None:
    order = case.order(ours)
    case.at_broker(order, theirs, listed=True)
    assert case.round() == ([("accepted", order.client_order_id)] if told else [])


def test_a_cancel_that_the_broker_forgot_is_refused_and_may_be_asked_for_again(case: Case) -> None:
    order = case.order("pending_cancel")
    for _ in range(2):
        Order.objects.filter(pk=order.pk).update(cancel_sent_at=case.now)
        assert case.round() == []
        assert case.round(after=CANCEL_REFUSED_AFTER) == [("cancel_rejected", order.client_order_id)]
        assert case.round() == []


def test_a_cancel_that_hangs_is_left_alone(case: Case) -> None:
    order = case.order("pending_cancel")
    Order.objects.filter(pk=order.pk).update(cancel_sent_at=case.now)
    case.at_broker(order, "pending_cancel")
    assert case.round(after=timedelta(minutes=10)) == []


def test_a_successor_that_is_filled_with_less_is_closed(case: Case) -> None:
    order = case.order()
    case.reads.fills = [case.execution(order, "7", "7")]
    case.at_broker(order, "filled", "7")
    assert [kind for kind, _ in case.round()] == ["fill", "canceled"]
    assert "7 of 10 shares" in BrokerMessage.objects.get(kind="canceled").reason


def test_rest_that_is_away_tells_nothing_and_forgets_nothing(case: Case) -> None:
    order = case.order()
    case.reads.fills = [case.execution(order, "4")]
    case.reads.away = True
    with pytest.raises(BrokerUnavailable):
        case.round()
    case.reads.away = False
    assert case.round() == [("fill", order.client_order_id)]


def test_executions_are_read_again_from_a_while_before_the_newest_and_longer_after_a_silence(case: Case) -> None:
    order = case.order()
    case.reads.fills = [case.execution(order, "4", at=3600)]
    case.at_broker(order, "partially_filled", "4")
    newest = MARKET_AT + timedelta(hours=1)
    case.round()
    case.round()
    case.round(long=True)
    assert case.reads.read_from == [order.market_at - OVERLAP, newest - OVERLAP, newest - LONG_OVERLAP]
    again = CrossCheck(account_id=case.account.pk, reader=case.reads)
    again.round(wall_now=case.now)
    assert case.reads.read_from[-1] == newest - OVERLAP


def test_before_the_first_order_nothing_is_read(case: Case) -> None:
    assert case.round() == []
    assert case.reads.read_from == []


# the stream's side


def stream(order: Order, kind: str, cumulative: str, quantity: str | None = None, *, whole: bool = False) -> Update:
    at = MARKET_AT + timedelta(seconds=1)
    key = (
        fill_key(order.broker_order_id, D(cumulative))
        if kind == "fill"
        else status_key(order.broker_order_id, kind, at)
    )
    message = Message(
        key=key,
        source=STREAM,
        kind=kind,
        client_order_id=order.client_order_id,
        broker_order_id=order.broker_order_id,
        broker_execution_id=f"E-{cumulative}" if kind == "fill" else "",
        at=at,
        quantity=None if quantity is None else D(quantity),
        price=D(100) if kind == "fill" else None,
        cumulative_quantity=D(cumulative),
    )
    return Update(message=message, is_whole=whole)


def taken(case: Case, *updates: Update) -> tuple[list[str], bool]:
    found = take_updates(account_id=case.account.pk, updates=updates, wall_now=case.now)
    return [row.kind for row in found.rows], found.incomplete


def test_an_end_of_the_stream_whose_execution_is_missing_is_kept_and_not_told(case: Case) -> None:
    order = case.order()
    assert taken(case, stream(order, "canceled", "4")) == ([""], True)
    case.reads.fills = [case.execution(order, "4")]
    case.at_broker(order, "canceled", "4")
    assert [kind for kind, _ in case.round()] == ["fill", "canceled"]


def test_an_end_before_its_execution_in_one_batch_is_told_behind_it(case: Case) -> None:
    order = case.order()
    assert taken(case, stream(order, "canceled", "4"), stream(order, "fill", "4", "4")) == (["fill", "canceled"], False)


def test_a_gap_before_an_execution_asks_rest_at_once(case: Case) -> None:
    order = case.order()
    assert taken(case, stream(order, "fill", "8", "4")) == (["fill"], True)


def test_the_stream_closes_a_successor_that_is_filled_with_less(case: Case) -> None:
    order = case.order()
    assert taken(case, stream(order, "fill", "7", "7", whole=True)) == (["fill", "canceled"], False)
    assert taken(case, stream(order, "fill", "7", "7", whole=True)) == ([], False)


def test_an_end_of_an_order_that_is_not_ours_waits_for_nothing(case: Case) -> None:
    order = case.order()
    strange = stream(order, "canceled", "4")
    strange = Update(message=replace(strange.message, broker_order_id="B-strange", client_order_id="x", key="y"))
    assert taken(case, strange) == (["canceled"], False)


def test_what_rest_told_first_the_stream_does_not_tell_again(case: Case) -> None:
    order = case.order()
    case.reads.fills = [case.execution(order, "4")]
    case.at_broker(order, "partially_filled", "4")
    case.round()
    assert taken(case, stream(order, "fill", "4", "4")) == ([], False)
    assert receive(account_id=case.account.pk, messages=case.reads.fills, wall_now=case.now) == []
