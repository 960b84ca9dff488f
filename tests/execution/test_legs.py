"""Legs are held, learn their names, begin to work, and end: with their group, and never alone by accident."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Q

from execution.brokers.base import BrokerOutcomeUnknown, BrokerRejected, BrokerUnavailable, OrderNotCancelable
from execution.brokers.dry_run import DryRunBroker
from execution.brokers.paper import PaperBroker
from execution.matching.events import QuoteTick
from execution.models import Account, Order, Position, RefusedReport
from execution.services import legs
from execution.services.answers import record_answers
from execution.services.cancels import cancel_open_orders, request_cancel
from execution.services.claims import claim_pending
from execution.services.dispatch import request_of
from execution.services.halt import engage_kill_switch
from execution.services.recovery import recover_account, resolve_unanswered
from risk.services import breaker, kill_switch
from risk.types import OrderType, Side, TimeInForce
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    again,
    assert_books_balance,
    dispatch,
    filled_order,
    position_of,
    recorded,
    statuses,
)
from tests.execution.group_cases import OCO, NamingBroker, group, states
from tests.factories import allow_bursts, make_account

D = Decimal
pytestmark = pytest.mark.django_db


def desk() -> tuple[Account, NamingBroker]:
    """Make an account and a broker with names of its own for legs."""
    return make_account(), NamingBroker()


def sent(account: Account, broker: Any, *args: Any, **fields: Any) -> list[Order]:
    """Make a group that the broker has taken, with the answer in the book."""
    orders = group(account, *args, **fields)
    dispatch(account, broker)
    recorded(account, broker)
    return [again(order) for order in orders]


def filled(account: Account, broker: NamingBroker) -> list[Order]:
    """Make a group whose entry is filled and whose legs work."""
    orders = sent(account, broker)
    broker.fill(orders[0].client_order_id, "10")
    broker.work(orders[0])
    recorded(account, broker)
    assert states(orders) == ["filled", "accepted", "accepted"]
    return orders


def paper(account: Account) -> PaperBroker:
    return PaperBroker(account.name, starting_cash=account.starting_cash)


def tick(broker: PaperBroker, price: str, minute: int, volume: int | None = None) -> None:
    last = D(price)
    at = MARKET_AT + timedelta(minutes=minute)
    size = None if volume is None else D(volume)
    broker.advance([QuoteTick("AAPL", last - D("0.01"), last + D("0.01"), last, size, at)])


# The whole way


def test_a_bracket_from_the_gate_to_its_profit() -> None:
    account = make_account()
    broker = paper(account)
    orders = sent(account, broker)
    assert states(orders) == ["accepted", "held", "held"]
    assert all(order.broker_order_id for order in orders)
    tick(broker, "99.50", 1)
    recorded(account, broker)
    assert states(orders) == ["filled", "accepted", "accepted"]
    assert position_of(account).open_sell_quantity == 10
    assert_books_balance(account)
    tick(broker, "111", 2)
    recorded(account, broker)
    assert states(orders) == ["filled", "filled", "canceled"]
    assert (position_of(account).quantity, position_of(account).open_sell_quantity) == (0, 0)
    assert_books_balance(account)
    assert recover_account(account=account, broker=broker, wall_now=WALL_NOW) == 0
    assert account.reconciliation == Account.Reconciliation.CLEAN


def test_exits_that_share_the_position_end_both_in_the_book() -> None:
    account = make_account()
    broker = paper(account)
    orders = sent(account, broker)
    tick(broker, "99.50", 1)
    tick(broker, "111", 2, volume=40)
    recorded(account, broker)
    assert states(orders) == ["filled", "partially_filled", "accepted"]
    assert_books_balance(account)
    tick(broker, "94", 3)
    recorded(account, broker)
    assert states(orders) == ["filled", "canceled", "canceled"]
    assert [again(order).filled_quantity for order in orders] == [10, 4, 6]
    assert position_of(account).quantity == 0
    assert_books_balance(account)


def test_an_oco_at_the_paper_exchange() -> None:
    account = make_account()
    broker = paper(account)
    bought = group(account)
    dispatch(account, broker)
    tick(broker, "99.50", 1)
    broker.cancel(client_order_id=bought[1].client_order_id, broker_order_id="", at=MARKET_AT + timedelta(minutes=1))
    recorded(account, broker)
    allow_bursts()
    orders = sent(account, broker, None, "95", **OCO)
    assert states(orders) == ["accepted", "accepted"]
    assert position_of(account).open_sell_quantity == 10
    tick(broker, "94", 2)
    recorded(account, broker)
    assert states(orders) == ["canceled", "filled"]
    assert position_of(account).quantity == 0
    assert_books_balance(account)


# Names


def test_the_answer_tells_the_names_of_the_legs() -> None:
    account, broker = desk()
    entry, profit, stop = sent(account, broker)
    assert profit.broker_order_id == f"B-{broker.leg(entry, 'take_profit')}"
    assert stop.broker_order_id == f"B-{broker.leg(entry, 'stop_loss')}"
    assert states([entry, profit, stop]) == ["accepted", "held", "held"]


def test_reports_under_the_brokers_names_are_booked_on_the_legs() -> None:
    account, broker = desk()
    entry, profit, stop = filled(account, broker)
    broker.fill(broker.leg(entry, "take_profit"), "10", "110")
    broker.end(broker.leg(entry, "stop_loss"), "canceled")
    recorded(account, broker)
    assert states([entry, profit, stop]) == ["filled", "filled", "canceled"]
    assert position_of(account).realized_pnl == 100
    assert not RefusedReport.objects.exists()
    assert_books_balance(account)


def test_a_report_about_a_leg_waits_for_the_answer_to_its_entry() -> None:
    account, broker = desk()
    entry, profit, stop = group(account)
    claim = claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=10)
    held = legs.leg_requests(claim.orders)
    answer = broker.submit(request_of(claim.orders[0], held[entry.pk]), at=MARKET_AT)
    broker.fill(entry.client_order_id, "10")
    broker.work(entry)
    broker.fill(broker.leg(entry, "stop_loss"), "10", "94")
    assert recorded(account, broker) == 2
    assert states([entry, profit, stop]) == ["filled", "held", "held"]
    assert recorded(account, broker) == 0
    record_answers(orders=claim.orders, answers=[answer], broker=broker, wall_now=WALL_NOW, market_at=MARKET_AT)
    assert recorded(account, broker) == 3
    assert states([entry, profit, stop]) == ["filled", "accepted", "filled"]
    assert not RefusedReport.objects.exists()
    assert_books_balance(account)


def test_names_whose_answer_was_lost_are_asked_for() -> None:
    account, broker = desk()
    broker.after_submit = lost
    entry, profit, stop = group(account)
    dispatch(account, broker)
    broker.fill(entry.client_order_id, "10")
    broker.work(entry)
    broker.fill(broker.leg(entry, "take_profit"), "10", "110")
    broker.end(broker.leg(entry, "stop_loss"), "canceled")
    recover_account(account=account, broker=broker, wall_now=WALL_NOW)
    assert states([entry, profit, stop]) == ["filled", "filled", "canceled"]
    assert account.reconciliation == Account.Reconciliation.CLEAN
    assert broker.received == [entry.client_order_id]
    assert_books_balance(account)


def test_names_are_learnt_with_an_entry_that_recovery_finds() -> None:
    account, broker = desk()
    broker.after_submit = lost
    orders = group(account)
    dispatch(account, broker)
    broker.reports.clear()
    assert resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW) == 1
    assert states(orders) == ["accepted", "held", "held"]
    assert all(again(order).broker_order_id for order in orders)


def test_names_that_were_answered_are_kept_when_the_next_question_fails() -> None:
    account, broker = desk()
    allow_bursts()
    first, second = group(account), group(account, stop_loss="90")
    broker.after_submit = lost
    dispatch(account, broker)
    recorded(account, broker)  # both entries are known to work, their legs have no names

    def fail(client_order_id: str) -> None:
        if client_order_id == second[0].client_order_id:
            raise BrokerUnavailable("busy", code="http_503")

    broker.before_find = fail
    with pytest.raises(BrokerUnavailable):
        resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    assert [bool(again(leg).broker_order_id) for leg in (*first[1:], *second[1:])] == [True, True, False, False]


def test_a_leg_that_the_broker_does_not_show_holds_up_nobody() -> None:
    account, broker = desk()
    broker.after_submit = lost
    entry, profit, _stop = group(account)
    dispatch(account, broker)
    recorded(account, broker)
    broker.work(entry)
    assert recorded(account, broker) == 0
    broker.names.clear()
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    assert again(profit).error_code == "leg_not_shown"
    assert recorded(account, broker) == 2
    assert {refused.reason for refused in RefusedReport.objects.all()} == {"unknown_order"}


@pytest.mark.parametrize("ending", ["canceled", "rejected", "filled"])
def test_a_leg_that_the_broker_never_showed_ends_with_its_entry(ending: str) -> None:
    account, broker = desk()
    broker.after_submit = lost
    entry, profit, stop = group(account)
    dispatch(account, broker)
    recorded(account, broker)
    broker.names.clear()
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    request_cancel(order=again(stop), operator="ann", wall_now=WALL_NOW)
    assert states([entry, profit, stop]) == ["accepted", "held", "pending_cancel"]
    if ending == "filled":
        broker.fill(entry.client_order_id, "10")
    else:
        broker.end(entry.client_order_id, ending)
    recorded(account, broker)
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    assert states([entry, profit, stop]) == [ending, "canceled", "canceled"]
    assert {again(leg).error_code for leg in (profit, stop)} == {"leg_not_shown"}
    assert_books_balance(account)


def test_a_report_of_somebody_else_is_not_held_up_by_a_group_that_was_not_sent() -> None:
    account, broker = desk()
    broker.before_submit = away
    orders = group(account)
    dispatch(account, broker)
    assert states(orders) == ["pending", "held", "held"]
    broker.before_submit = None
    broker.submit(replace(request_of(orders[0]), client_order_id="somebody else's"), at=MARKET_AT)
    assert recorded(account, broker) == 1
    assert RefusedReport.objects.get().reason == "unknown_order"


def test_a_group_the_broker_never_got_is_sent_again_with_its_legs() -> None:
    account, broker = desk()
    orders = group(account)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=10)
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    assert states(orders) == ["pending", "held", "held"]
    dispatch(account, broker)
    assert states(orders) == ["accepted", "held", "held"]
    assert len(broker.orders) == 3


def away(_request: object) -> None:
    raise BrokerUnavailable("not now")


def lost(_request: object) -> None:
    raise BrokerOutcomeUnknown("the line went dead", code="timeout")


# Legs begin to work


def test_legs_that_work_before_the_entrys_fill_is_booked_pass_the_caps() -> None:
    account, broker = desk()
    orders = sent(account, broker)
    broker.work(orders[0])
    recorded(account, broker)
    assert states(orders) == ["accepted", "accepted", "accepted"]
    assert position_of(account).open_sell_quantity == 10
    broker.fill(orders[0].client_order_id, "10")
    recorded(account, broker)
    assert_books_balance(account)


def test_a_leg_is_filled_before_it_is_reported_to_work() -> None:
    account, broker = desk()
    orders = sent(account, broker)
    broker.fill(orders[0].client_order_id, "10")
    broker.fill(broker.leg(orders[0], "stop_loss"), "4", "94")
    recorded(account, broker)
    assert states(orders) == ["filled", "held", "partially_filled"]
    broker.work(orders[0])
    broker.fill(broker.leg(orders[0], "stop_loss"), "6", "94")
    recorded(account, broker)
    assert states(orders) == ["filled", "accepted", "filled"]
    assert_books_balance(account)


def test_a_leg_that_ends_while_held_is_over() -> None:
    account, broker = desk()
    orders = sent(account, broker)
    broker.end(orders[0].client_order_id, "expired")
    for role, kind in (("take_profit", "canceled"), ("stop_loss", "rejected")):
        broker.end(broker.leg(orders[0], role), kind)
    recorded(account, broker)
    assert states(orders) == ["expired", "canceled", "rejected"]
    assert_books_balance(account)


# An entry that never leaves


def halt(account: Account) -> None:
    kill_switch.engage(scope="global", operator="ann", reason="a test case", source="console", now=WALL_NOW)


def trip(account: Account) -> None:
    breaker.trip(scope=account.scope, reason="a test case", operator="ann", now=WALL_NOW)


def nothing(account: Account) -> None:
    """Let things be as they are."""


@pytest.mark.parametrize(
    ("before", "broker", "end"),
    [
        (halt, NamingBroker(), "denied"),
        (trip, NamingBroker(), "denied"),
        (nothing, DryRunBroker("dry", starting_cash=D(0)), "dry_run"),
    ],
)
def test_legs_end_as_an_entry_that_was_not_sent(before: Callable[[Account], None], broker: Any, end: str) -> None:
    account = make_account()
    orders = group(account)
    before(account)
    dispatch(account, broker)
    assert states(orders) == [end] * 3
    assert statuses(orders[1]) == ["held", end]
    assert_books_balance(account)


def test_a_group_of_yesterday_expires_unsent_whether_gtc_or_not() -> None:
    account, broker = desk()
    market = {"order_type": OrderType.MARKET, "limit_price": None, "time_in_force": TimeInForce.GTC}
    orders = group(account, **market)
    Order.objects.update(trading_date=MARKET_AT.date() - timedelta(days=1))
    dispatch(account, broker)
    assert states(orders) == ["expired"] * 3
    assert broker.received == []


def test_a_refused_entry_takes_its_legs_with_it() -> None:
    account, broker = desk()
    orders = group(account)

    def refuse(_request: object) -> None:
        raise BrokerRejected("no such thing", code="nonsense")

    broker.before_submit = refuse
    dispatch(account, broker)
    assert states(orders) == ["rejected"] * 3
    assert again(orders[1]).error_message == "its entry is rejected: no such thing"
    assert_books_balance(account)


def test_a_group_that_could_not_be_sent_waits_whole() -> None:
    account, broker = desk()
    orders = group(account)

    def away(_request: object) -> None:
        raise BrokerUnavailable("nobody there", code="away")

    broker.before_submit = away
    dispatch(account, broker)
    assert states(orders) == ["pending", "held", "held"]


def test_what_a_crash_left_between_entry_and_legs_is_settled() -> None:
    account, broker = desk()
    orders = group(account)
    halt(account)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=10)
    assert states(orders) == ["denied", "held", "held"]
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    assert states(orders) == ["denied"] * 3


# Cancels


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_cancel_of_one_before_it_is_sent_cancels_the_group(place: int) -> None:
    account, broker = desk()
    orders = group(account)
    request_cancel(order=again(orders[place]), operator="ann", wall_now=WALL_NOW)
    assert states(orders) == ["canceled"] * 3
    dispatch(account, broker)
    assert broker.received == []
    assert_books_balance(account)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_a_cancel_of_one_side_leaves_no_half_of_an_unsent_group(side: Side) -> None:
    account, broker = desk()
    orders = group(account)
    cancel_open_orders(orders=Q(side=side), account=account, operator="ann", wall_now=WALL_NOW)
    dispatch(account, broker)
    assert states(orders) == ["canceled"] * 3
    assert broker.received == []
    assert_books_balance(account)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_cancel_of_one_at_the_broker_ends_the_group(place: int) -> None:
    account, broker = desk()
    orders = sent(account, broker)
    request_cancel(order=orders[place], operator="ann", wall_now=WALL_NOW)
    assert states(orders)[place] == "pending_cancel"
    assert_books_balance(account)
    dispatch(account, broker)
    recorded(account, broker)
    assert states(orders) == ["canceled"] * 3
    assert_books_balance(account)


def test_the_kill_switch_reaches_held_legs() -> None:
    account, broker = desk()
    orders = sent(account, broker)
    report = engage_kill_switch(
        scope="global", operator="ann", reason="a test case", source="console", wall_now=WALL_NOW
    )
    assert report.cancel_requested == 3
    assert states(orders) == ["pending_cancel"] * 3
    assert_books_balance(account)
    dispatch(account, broker)
    recorded(account, broker)
    assert states(orders) == ["canceled"] * 3
    assert_books_balance(account)


def test_the_kill_switch_cancels_an_unsent_group_at_once() -> None:
    account = make_account()
    orders = group(account)
    report = engage_kill_switch(
        scope="global", operator="ann", reason="a test case", source="console", wall_now=WALL_NOW
    )
    assert (report.canceled_unsent, report.cancel_requested) == (3, 0)
    assert states(orders) == ["canceled"] * 3


def test_a_cancel_that_was_refused_while_the_leg_was_held_is_sent_again_when_it_works() -> None:
    account, broker = desk()
    orders = sent(account, broker)

    def refuse(name: str) -> None:
        raise OrderNotCancelable(name, "held")

    broker.before_cancel = refuse
    engage_kill_switch(scope="global", operator="ann", reason="a test case", source="console", wall_now=WALL_NOW)
    dispatch(account, broker)
    broker.before_cancel = None
    broker.fill(orders[0].client_order_id, "10")
    broker.work(orders[0])
    recorded(account, broker)
    assert states(orders) == ["filled", "pending_cancel", "pending_cancel"]
    assert dispatch(account, broker).cancels_sent == 2
    recorded(account, broker)
    assert states(orders) == ["filled", "canceled", "canceled"]
    assert_books_balance(account)


def test_a_cancel_that_is_refused_while_the_leg_begins_to_work_is_sent_again() -> None:
    account, broker = desk()
    orders = sent(account, broker)
    request_cancel(order=again(orders[1]), operator="ann", wall_now=WALL_NOW - timedelta(seconds=1))

    def works_now(name: str) -> None:
        broker.before_cancel = None
        broker.fill(orders[0].client_order_id, "10")
        broker.work(orders[0])
        recorded(account, broker)
        raise OrderNotCancelable(name, "held")

    broker.before_cancel = works_now
    dispatch(account, broker, wall_now=WALL_NOW + timedelta(seconds=1))
    assert again(orders[1]).cancel_sent_at is None
    assert dispatch(account, broker, wall_now=WALL_NOW + timedelta(seconds=2)).cancels_sent == 1
    recorded(account, broker)
    assert states(orders) == ["filled", "canceled", "canceled"]
    assert_books_balance(account)


def test_a_leg_without_a_name_is_canceled_once_it_has_one() -> None:
    account, broker = desk()
    broker.after_submit = lost
    orders = group(account)
    dispatch(account, broker)
    broker.reports.clear()
    request_cancel(order=again(orders[1]), operator="ann", wall_now=WALL_NOW)
    assert dispatch(account, broker).cancels_sent == 0
    assert states(orders) == ["submitted", "pending_cancel", "held"]
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    dispatch(account, broker)
    recorded(account, broker)
    assert states(orders) == ["canceled"] * 3


def test_a_leg_canceled_before_its_entry_is_found_missing_cancels_the_entry() -> None:
    account, broker = desk()
    orders = group(account)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=10)
    request_cancel(order=again(orders[2]), operator="ann", wall_now=WALL_NOW)
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    dispatch(account, broker)
    assert states(orders) == ["canceled"] * 3
    assert broker.received == []
    assert Position.objects.get(account=account).open_order_count == 0


def test_a_leg_that_works_although_it_is_over_in_the_book_is_canceled() -> None:
    account, broker = desk()
    orders = filled(account, broker)
    broker.tell("canceled", broker.leg(orders[0], "take_profit"))
    recorded(account, broker)
    recover_account(account=account, broker=broker, wall_now=WALL_NOW)
    assert broker.cancels == [broker.leg(orders[0], "take_profit")]
    recorded(account, broker)
    assert states(orders) == ["filled", "canceled", "canceled"]


def test_a_plain_order_costs_no_look_at_groups(django_assert_max_num_queries: Any) -> None:
    account, broker = desk()
    filled_order(account, broker)
    plain = list(Order.objects.filter(account=account))
    with django_assert_max_num_queries(0):
        assert legs.leg_requests(plain) == {}
        assert legs.unwanted(plain) == frozenset()
        assert not legs.has_group(plain)
