"""Until the broker has decided an original and its successor are one: what happens to either, in any order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Q

from execution.brokers.base import (
    BrokerError,
    BrokerOrder,
    BrokerOutcomeUnknown,
    BrokerRejected,
    BrokerUnavailable,
    OrderNotCancelable,
)
from execution.models import Account, Order, RefusedReport
from execution.services.cancel_sending import CANCEL_AGAIN_AFTER
from execution.services.cancels import cancel_open_orders, request_cancel
from execution.services.claims import claim_pending
from execution.services.halt import engage_kill_switch
from execution.services.recovery import recover_account, resolve_unanswered
from execution.services.reports import apply_reports
from execution.states import TERMINAL
from marketdata.services.feeds import set_market_time
from risk.services import kill_switch
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    again,
    assert_books_balance,
    desk,
    dispatch,
    position_of,
    recorded,
    statuses,
)
from tests.execution.fake_broker import FakeBroker
from tests.execution.replace_cases import change, held, resting, successor_of

pytestmark = pytest.mark.django_db

REASON = "a test of replacements"


def raising(error: BrokerError) -> Callable[..., None]:
    def fail(*_args: object) -> None:
        raise error

    return fail


def pair(*, filled: int = 0, **terms: Any) -> tuple[Account, FakeBroker, Order, Order]:
    """Make an original at the broker and its successor, which waits to be sent."""
    account, broker = desk()
    original = resting(account, broker, filled=filled)
    return account, broker, original, successor_of(original, **terms or {"quantity": D(60)})


def sent_pair(*, filled: int = 0, **terms: Any) -> tuple[Account, FakeBroker, Order, Order]:
    """Make a pair whose replacement the broker has taken and not decided."""
    account, broker, original, successor = pair(filled=filled, **terms)
    broker.concludes = False
    dispatch(account, broker)
    recorded(account, broker)
    return account, broker, again(original), again(successor)


def ignored(_result: object) -> None:
    """Do what its argument did."""


def now(*orders: Order) -> list[str]:
    return [again(order).status for order in orders]


# The straight way


def test_the_broker_is_told_the_new_total_and_the_whole_terms() -> None:
    account, broker, original, successor = pair(filled=40, quantity=D(70), limit_price=D(99))
    dispatch(account, broker)
    sent = broker.replacements[0]
    assert (sent.client_order_id, sent.original_client_order_id) == (successor.client_order_id, "one")
    assert sent.original_broker_order_id == original.broker_order_id
    assert (sent.quantity, sent.limit_price, sent.stop_price, sent.time_in_force) == (70, 99, None, "day")


def test_the_successor_takes_over_when_the_broker_says_so() -> None:
    account, broker, original, successor = sent_pair(limit_price=D(99), quantity=D(60))
    assert now(original, successor) == ["pending_replace", "accepted"]
    assert held(account) == (100, 10_000, 1)
    broker.conclude("one")
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "accepted"]
    assert held(account) == (60, 5_940, 1)
    assert_books_balance(account)


def test_what_the_original_fills_meanwhile_is_not_bought_twice() -> None:
    account, broker, _original, successor = pair(filled=40, quantity=D(70))
    broker.fill("one", D(20))
    recorded(account, broker)
    assert held(account)[0] == 40  # the original may still buy as much, the successor ten
    dispatch(account, broker)
    assert broker.replacements[0].quantity == 70
    recorded(account, broker)
    assert again(successor).cover_quantity == 10
    assert held(account)[0] == 10
    broker.fill(successor.client_order_id, D(10))
    recorded(account, broker)
    after = again(successor)
    assert (after.status, after.filled_quantity, after.error_code) == ("canceled", 10, "total_filled")
    assert position_of(account).quantity == 70
    assert held(account) == (0, 0, 0)
    assert_books_balance(account)


def test_a_successor_that_fills_whole_is_filled() -> None:
    account, broker, original, successor = pair(filled=40, quantity=D(70))
    dispatch(account, broker)
    broker.fill(successor.client_order_id, D(10))
    broker.fill(successor.client_order_id, D(20))
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "filled"]
    assert_books_balance(account)


def test_a_fill_of_the_successor_may_be_told_before_its_original_is_replaced() -> None:
    account, broker, original, successor = sent_pair()
    broker.fill(successor.client_order_id, D(60))
    recorded(account, broker)
    assert now(original, successor) == ["pending_replace", "filled"]
    broker.conclude("one")
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "filled"]
    assert_books_balance(account)


def test_the_original_may_be_reported_replaced_before_the_answer_comes() -> None:
    account, broker, original, successor = pair()
    broker.after_replace = lambda _request: ignored(recorded(account, broker))
    dispatch(account, broker)
    assert now(original, successor) == ["replaced", "accepted"]
    assert statuses(successor) == ["pending", "submitted", "accepted"]
    assert_books_balance(account)


# The original was faster


def test_a_late_fill_of_the_replaced_original_is_booked_and_counts() -> None:
    account, broker, original, successor = sent_pair()
    broker.conclude("one")
    recorded(account, broker)
    broker.fill("one", D(25))
    recorded(account, broker)
    after = again(original)
    assert (after.status, after.filled_quantity) == ("replaced", 25)
    assert held(account)[0] == 35
    broker.fill(successor.client_order_id, D(60))  # the broker did not count it: that is a fact as well
    recorded(account, broker)
    assert now(successor) == ["filled"]
    assert position_of(account).quantity == 85
    assert not RefusedReport.objects.exists()
    assert_books_balance(account)


@pytest.mark.parametrize(("filled", "end"), [(60, "replaced"), (100, "filled")])
def test_a_late_fill_that_reaches_the_total_ends_the_successor_at_the_broker(filled: int, end: str) -> None:
    account, broker, original, successor = sent_pair()
    broker.conclude("one")
    recorded(account, broker)
    broker.fill("one", D(filled))
    recorded(account, broker)
    assert now(original, successor) == [end, "pending_cancel"]
    assert held(account)[0] == 60  # until the broker says that it is over, it may trade
    dispatch(account, broker)
    recorded(account, broker)
    assert now(original, successor) == [end, "canceled"]
    assert held(account) == (0, 0, 0)
    assert_books_balance(account)


def test_an_original_that_fills_whole_before_the_send_ends_its_successor() -> None:
    account, broker, original, successor = pair()
    broker.fill("one", D(100))
    recorded(account, broker)
    assert now(original, successor) == ["filled", "canceled"]
    assert again(successor).error_message == "the order that it was to replace is filled"
    dispatch(account, broker)
    assert broker.replacements == []
    assert_books_balance(account)


def test_an_original_that_fills_whole_while_the_broker_decides_leaves_a_rejected_successor() -> None:
    account, broker, original, successor = sent_pair()
    broker.fill("one", D(100))
    broker.end(successor.client_order_id, "rejected", "the order it replaces is filled")
    recorded(account, broker)
    assert now(original, successor) == ["filled", "rejected"]
    assert held(account) == (0, 0, 0)
    assert_books_balance(account)


def test_a_total_that_was_reached_before_the_send_is_not_sent_and_the_original_works_on() -> None:
    account, broker, original, successor = pair()
    broker.fill("one", D(70))
    recorded(account, broker)
    dispatch(account, broker)
    assert broker.replacements == []
    assert now(original, successor) == ["partially_filled", "canceled"]
    assert again(successor).error_message == "70 shares have been filled by now, and the new total was 60"
    assert held(account)[0] == 30
    assert_books_balance(account)


@pytest.mark.parametrize("kind", ["canceled", "expired", "rejected"])
def test_an_original_that_ends_otherwise_takes_an_unsent_successor_with_it(kind: str) -> None:
    account, broker, original, successor = pair()
    broker.end("one", kind)
    recorded(account, broker)
    assert now(original, successor) == [kind, "canceled"]
    assert_books_balance(account)


# The broker refuses


def test_a_refusal_lets_the_original_work_on_with_its_reason() -> None:
    account, broker, original, successor = pair(filled=40, quantity=D(70))
    broker.before_replace = raising(BrokerRejected("not enough buying power", code="insufficient"))
    dispatch(account, broker)
    assert now(original, successor) == ["partially_filled", "rejected"]
    assert again(successor).error_message == "not enough buying power"
    event = original.events.order_by("-sequence")[0]
    assert event.detail == {"reason": "its replacement one-R1 is rejected: not enough buying power"}
    assert held(account) == (60, 6_000, 1)
    assert successor_of(original, quantity=D(80)).client_order_id == "one-R2"
    assert_books_balance(account)


def test_a_replacement_that_is_refused_later_lets_the_original_work_on() -> None:
    account, broker, original, successor = sent_pair()
    broker.refuse_replace("one", successor.client_order_id)
    recorded(account, broker)
    assert now(original, successor) == ["accepted", "rejected"]
    assert held(account) == (100, 10_000, 1)
    assert_books_balance(account)


@pytest.mark.parametrize("told", ["replace_rejected", "rejected"])
def test_either_of_the_two_reports_of_a_refusal_is_enough(told: str) -> None:
    account, broker, original, successor = sent_pair()
    broker.tell(told, "one" if told == "replace_rejected" else successor.client_order_id, reason="not in time")
    recorded(account, broker)
    assert now(original, successor) == ["accepted", "rejected"]
    assert again(successor).error_message == "not in time"
    assert_books_balance(account)


def test_the_report_of_an_earlier_refusal_does_not_end_the_next_successor() -> None:
    account, broker, original, first = sent_pair()
    broker.end(first.client_order_id, "rejected")
    recorded(account, broker)
    broker.orders["one"] = replace(broker.orders["one"], status="accepted")
    set_market_time(feed=account.feed, at=MARKET_AT + timedelta(seconds=30))
    second = successor_of(original, quantity=D(80))
    dispatch(account, broker)
    broker.tell("replace_rejected", "one", at=MARKET_AT + timedelta(seconds=10), reason="of the first")
    recorded(account, broker)
    assert now(original, second) == ["pending_replace", "accepted"]
    broker.conclude("one", MARKET_AT + timedelta(seconds=40))
    recorded(account, broker)
    assert now(original, second) == ["replaced", "accepted"]
    assert_books_balance(account)


def test_a_broker_that_cannot_be_reached_leaves_both_waiting() -> None:
    account, broker, original, successor = pair()
    broker.before_replace = raising(BrokerUnavailable("no route"))
    assert dispatch(account, broker).unsent == 1
    assert now(original, successor) == ["pending_replace", "pending"]
    broker.before_replace = None
    dispatch(account, broker)
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "accepted"]
    assert len(broker.replacements) == 1
    assert_books_balance(account)


# Answers that are lost, and crashes


def test_a_lost_answer_of_a_replacement_that_took_effect_is_found_by_the_successors_id() -> None:
    account, broker, original, successor = pair()
    broker.after_replace = raising(BrokerOutcomeUnknown("read timed out"))
    assert dispatch(account, broker).unknown == 1
    assert now(original, successor) == ["pending_replace", "submitted"]
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    assert now(successor) == ["accepted"]
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "accepted"]
    assert len(broker.replacements) == 1
    assert_books_balance(account)


def test_a_lost_replacement_that_never_arrived_is_sent_again_under_its_id() -> None:
    account, broker, original, successor = pair()
    broker.before_replace = raising(BrokerOutcomeUnknown("reset"))
    dispatch(account, broker)
    broker.before_replace = None
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    assert now(original, successor) == ["pending_replace", "pending"]
    dispatch(account, broker)
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "accepted"]
    assert_books_balance(account)


def test_a_replacement_that_was_taken_and_not_shown_is_adopted_when_it_is_sent_again() -> None:
    account, broker, original, successor = pair()
    broker.after_replace = raising(BrokerOutcomeUnknown("read timed out"))
    broker.hidden.add(successor.client_order_id)
    dispatch(account, broker)
    recorded_before = now(original, successor)
    resolve_unanswered(account=account, broker=broker, wall_now=WALL_NOW)
    assert (recorded_before, now(successor)) == (["pending_replace", "submitted"], ["pending"])
    broker.hidden.clear()
    broker.after_replace = None
    dispatch(account, broker)
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "accepted"]
    assert again(successor).broker_order_id == "B-2"
    assert_books_balance(account)


def test_a_refusal_because_the_original_is_replaced_already_is_not_believed_before_a_look() -> None:
    account, broker, original, successor = pair()
    real = FakeBroker.replace

    def refuses_twice(request: Any, *, at: Any) -> BrokerOrder:
        real(broker, request, at=at)
        raise BrokerRejected("order is replaced", code="42210000")

    broker.replace = refuses_twice
    dispatch(account, broker)
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "accepted"]
    assert_books_balance(account)


def test_a_refusal_that_cannot_be_looked_into_leaves_the_question_open() -> None:
    account, broker, original, successor = pair()
    broker.before_replace = raising(BrokerRejected("order is replaced", code="42210000"))
    broker.before_find = raising(BrokerUnavailable("no route"))
    assert dispatch(account, broker).unknown == 1
    assert now(original, successor) == ["pending_replace", "submitted"]


def test_an_order_of_somebody_else_under_the_successors_id_is_not_adopted() -> None:
    account, broker, original, successor = pair()
    broker.orders[successor.client_order_id] = replace(
        broker.orders["one"], client_order_id=successor.client_order_id, symbol="IBM", broker_order_id="B-9"
    )
    dispatch(account, broker)
    assert now(original, successor) == ["accepted", "rejected"]
    assert_books_balance(account)


def test_a_crash_between_claim_and_send_is_recovered_by_sending() -> None:
    account, broker, original, successor = pair()
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=10)
    assert now(original, successor) == ["pending_replace", "submitted"]
    recover_account(account=account, broker=broker, wall_now=WALL_NOW)
    dispatch(account, broker)
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "accepted"]
    assert_books_balance(account)


def test_a_crash_between_the_brokers_answer_and_its_record_is_recovered_by_asking() -> None:
    account, broker, original, successor = pair()

    def die(_request: Any) -> None:
        raise KeyboardInterrupt

    broker.after_replace = die
    with pytest.raises(KeyboardInterrupt):
        dispatch(account, broker)
    broker.after_replace = None
    recover_account(account=account, broker=broker, wall_now=WALL_NOW)
    assert now(original, successor) == ["replaced", "accepted"]
    assert len(broker.replacements) == 1
    assert_books_balance(account)


def test_a_fill_between_claim_and_send_makes_the_broker_refuse_and_nothing_is_lost() -> None:
    account, broker, original, successor = pair()
    broker.before_replace = lambda _request: ignored(broker.fill("one", D(100)))
    dispatch(account, broker)
    assert now(original, successor) == ["accepted", "rejected"]
    recorded(account, broker)
    assert now(original, successor) == ["filled", "rejected"]
    assert_books_balance(account)


# Cancels, the kill switch, the end of the session


def test_a_cancel_before_the_send_ends_the_change_and_asks_for_the_end_of_the_original() -> None:
    account, broker, original, successor = pair()
    request_cancel(order=again(original), operator="ann", wall_now=WALL_NOW)
    assert now(original, successor) == ["pending_cancel", "canceled"]
    assert_books_balance(account)
    dispatch(account, broker)
    recorded(account, broker)
    assert (now(original), broker.cancels, broker.replacements) == (["canceled"], ["one"], [])
    assert held(account) == (0, 0, 0)


@pytest.mark.parametrize("which", [0, 1])
def test_a_cancel_of_either_while_the_broker_decides_is_for_both(which: int) -> None:
    account, broker, *orders = sent_pair()
    request_cancel(order=orders[which], operator="ann", wall_now=WALL_NOW)
    assert now(*orders) == ["pending_cancel", "pending_cancel"]
    assert_books_balance(account)
    dispatch(account, broker)
    recorded(account, broker)
    assert now(*orders) == ["pending_cancel", "canceled"]  # no cancel is taken while the broker replaces
    broker.conclude("one")
    dispatch(account, broker)
    recorded(account, broker)
    assert now(*orders) == ["replaced", "canceled"]
    assert broker.cancels.count("one") >= 2
    assert held(account) == (0, 0, 0)
    assert_books_balance(account)


@pytest.mark.parametrize("which", [0, 1])
def test_a_cancel_that_was_refused_by_report_while_replacing_is_sent_again(which: int) -> None:
    account, broker, original, successor = sent_pair()
    request_cancel(order=original, operator="ann", wall_now=WALL_NOW)
    Order.objects.filter(pk__in=[original.pk, successor.pk]).update(cancel_sent_at=WALL_NOW)
    refused = (original, successor)[which]
    broker.tell("cancel_rejected", refused.client_order_id, reason="pending replacement")
    recorded(account, broker)
    after = again(refused)
    assert (after.status, after.cancel_sent_at) == ("pending_cancel", None)
    assert_books_balance(account)


def test_a_cancel_that_is_refused_at_every_turn_while_replacing_keeps_a_pace() -> None:
    account, broker, original, successor = sent_pair()
    request_cancel(order=original, operator="ann", wall_now=WALL_NOW)
    asked: list[str] = []

    def refuse(name: str) -> None:
        asked.append(name)
        broker.tell("cancel_rejected", name, reason="pending replacement")
        raise OrderNotCancelable(name, "pending_replace")

    broker.before_cancel = refuse
    for tenth in range(40):
        now_at = WALL_NOW + timedelta(seconds=tenth / 10)
        dispatch(account, broker, wall_now=now_at)
        apply_reports(account=account, broker=broker, wall_now=now_at)
    assert (asked.count("one"), asked.count(successor.client_order_id)) == (2, 2)
    assert now(original, successor) == ["pending_cancel", "pending_cancel"]


def test_a_cancel_that_was_refused_while_replacing_ends_the_original_that_works_on() -> None:
    account, broker, original, successor = sent_pair()
    request_cancel(order=original, operator="ann", wall_now=WALL_NOW)
    Order.objects.filter(pk=original.pk).update(cancel_sent_at=WALL_NOW)
    broker.tell("cancel_rejected", "one", reason="pending replacement")
    recorded(account, broker)
    broker.orders["one"] = replace(broker.orders["one"], status="accepted")
    broker.end(successor.client_order_id, "rejected")
    dispatch(account, broker, wall_now=WALL_NOW + CANCEL_AGAIN_AFTER)
    recorded(account, broker)
    assert now(original, successor) == ["canceled", "rejected"]
    assert_books_balance(account)


def test_a_cancel_between_claim_and_answer_reaches_the_successor_too() -> None:
    account, broker, original, successor = pair()
    broker.concludes = False
    broker.before_replace = lambda _request: ignored(request_cancel(order=original, operator="ann", wall_now=WALL_NOW))
    dispatch(account, broker)
    assert now(original, successor) == ["pending_cancel", "pending_cancel"]
    broker.conclude("one")
    dispatch(account, broker)
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "canceled"]
    assert_books_balance(account)


def test_a_cancel_that_saw_only_the_original_reaches_a_successor_that_was_on_its_way() -> None:
    account, broker, original, successor = pair()
    broker.concludes = False

    def only_the_original(_request: Any) -> None:
        Order.objects.filter(pk=original.pk).update(status="pending_cancel", cancel_requested_at=WALL_NOW)
        row = position_of(account)
        row.open_buy_quantity, row.open_buy_notional = D(200), D(20_000)
        row.open_order_count, row.long_cap = 2, D(1000)
        row.save()

    broker.before_replace = only_the_original
    dispatch(account, broker)
    assert now(original, successor) == ["pending_cancel", "pending_cancel"]


def test_a_cancel_never_fails_on_the_caps_that_held_for_one_of_the_two() -> None:
    account, _broker, _original, _successor = sent_pair(quantity=D(1000), limit_price=D(99))
    row = position_of(account)
    row.long_cap = D(1000)
    row.save()
    unsent, asked, ids = cancel_open_orders(orders=Q(), account=account, operator="ann", wall_now=WALL_NOW)
    assert (unsent, asked, len(ids)) == (0, 2, 2)
    assert_books_balance(account)


def test_the_kill_switch_between_request_and_send_stops_the_change_and_cancels_the_original() -> None:
    account, broker, original, successor = pair()
    engage_kill_switch(scope="global", operator="ann", reason=REASON, source="console", wall_now=WALL_NOW)
    assert now(original, successor) == ["pending_cancel", "canceled"]
    dispatch(account, broker)
    recorded(account, broker)
    assert (now(original), broker.replacements) == (["canceled"], [])
    assert_books_balance(account)


def test_a_kill_switch_whose_cancels_have_not_come_yet_denies_the_change_and_the_original_steps_back() -> None:
    account, broker, original, successor = pair(filled=40, quantity=D(70))
    kill_switch.engage(scope="global", operator="ann", reason=REASON, source="console", now=WALL_NOW)
    dispatch(account, broker)
    assert now(original, successor) == ["partially_filled", "denied"]
    assert broker.replacements == []
    assert held(account) == (60, 6_000, 1)
    assert_books_balance(account)


def test_the_kill_switch_while_the_broker_decides_cancels_whichever_lives() -> None:
    account, broker, original, successor = sent_pair()
    engage_kill_switch(scope="strategy:manual", operator="ann", reason=REASON, source="console", wall_now=WALL_NOW)
    broker.conclude("one")
    dispatch(account, broker)
    recorded(account, broker)
    assert now(original, successor) == ["replaced", "canceled"]
    assert_books_balance(account)


def test_a_change_that_was_not_sent_before_the_end_of_its_session_expires() -> None:
    account, broker, original, successor = pair()
    set_market_time(feed=account.feed, at=MARKET_AT + timedelta(days=1))
    dispatch(account, broker)
    assert now(original, successor) == ["accepted", "expired"]
    assert broker.replacements == []
    assert_books_balance(account)


def test_a_successor_whose_original_is_being_canceled_is_not_sent() -> None:
    account, broker, original, successor = pair()
    Order.objects.filter(pk=original.pk).update(status="pending_cancel", cancel_requested_at=WALL_NOW)
    row = position_of(account)
    row.open_buy_quantity, row.open_buy_notional, row.open_order_count, row.long_cap = D(200), D(20_000), 2, D(1000)
    row.save()
    dispatch(account, broker)
    assert now(successor) == ["canceled"]
    assert again(successor).error_message == "the order that it was to replace is pending_cancel"


def test_canceling_a_replaced_order_names_the_one_that_carries_on() -> None:
    account, broker, original, _successor = sent_pair()
    broker.conclude("one")
    recorded(account, broker)
    with pytest.raises(Exception, match="is replaced by one-R1, which can be canceled"):
        request_cancel(order=original, operator="ann", wall_now=WALL_NOW)


def test_a_replacement_by_somebody_else_is_booked_as_it_is() -> None:
    account, broker = desk()
    order = resting(account, broker)
    broker.end("one", "replaced")
    recorded(account, broker)
    assert now(order) == ["replaced"]
    assert held(account) == (0, 0, 0)
    assert_books_balance(account)


def test_recovery_asks_about_both_and_is_clean() -> None:
    account, broker, original, successor = sent_pair(filled=40, quantity=D(70))
    broker.conclude("one")
    broker.fill(successor.client_order_id, D(30))
    recover_account(account=account, broker=broker, wall_now=WALL_NOW)
    account.refresh_from_db()
    assert account.reconciliation == "clean"
    assert now(original, successor) == ["replaced", "filled"]
    assert_books_balance(account)


def test_a_denied_change_of_a_chain_leaves_the_chain_as_it_is() -> None:
    account, broker, original, successor = pair()
    dispatch(account, broker)
    recorded(account, broker)
    third = change(successor, quantity=D(10_000_000))
    assert not third.accepted
    assert now(original, successor) == ["replaced", "accepted"]
    assert {*now(original)} <= {*TERMINAL}
    assert_books_balance(account)
