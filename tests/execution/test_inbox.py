"""What a broker told is stored once, numbered without a gap, in whatever way and however badly it was told."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from django.db import connection
from django.db.utils import DatabaseError

from execution.brokers.base import BrokerReport
from execution.models import Account, BrokerLink, BrokerMessage
from execution.services import inbox
from execution.services.inbox import Message, fill_key, receive, reports_since, status_key, unreadable_key
from execution.services.reports import book_reports
from execution.services.waking import CHANNEL
from execution.states import OrderStatus
from tests.execution.cases import (
    MARKET_AT,
    WALL_NOW,
    D,
    accepted_order,
    again,
    assert_books_balance,
    desk,
    make_account,
)
from tests.risk.threads import together

pytestmark = pytest.mark.django_db


def fill(cumulative: str, **fields: Any) -> Message:
    values = {
        "key": fill_key("B-1", D(cumulative)),
        "source": inbox.STREAM,
        "kind": "fill",
        "client_order_id": "one",
        "broker_order_id": "B-1",
        "broker_execution_id": f"E-{cumulative}",
        "at": MARKET_AT,
        "quantity": D(4),
        "price": D("100.10"),
        "cumulative_quantity": D(cumulative),
        "payload": {"event": "fill"},
    }
    return Message(**values | fields)


def ended(kind: str = "canceled", **fields: Any) -> Message:
    values = {
        "key": status_key("B-1", kind, MARKET_AT),
        "source": inbox.STREAM,
        "kind": kind,
        "client_order_id": "one",
        "broker_order_id": "B-1",
        "at": MARKET_AT,
        "cumulative_quantity": D(4),
    }
    return Message(**values | fields)


def told(account: Account, *messages: Message) -> list[int]:
    return [row.sequence for row in receive(account_id=account.pk, messages=messages, wall_now=WALL_NOW)]


def test_messages_are_numbered_from_one_without_a_gap() -> None:
    account = make_account()
    assert told(account, fill("4"), ended()) == [1, 2]
    assert told(account, fill("8")) == [3]
    assert BrokerLink.objects.get(account=account).message_count == 3


def test_each_account_counts_for_itself() -> None:
    assert [told(make_account(), fill("4")), told(make_account(), fill("4"))] == [[1], [1]]


def test_a_fact_told_again_by_anybody_is_not_new_and_takes_no_number() -> None:
    account = make_account()
    told(account, fill("4"))
    assert told(account, fill("4", source=inbox.POLL, broker_execution_id="another"), ended()) == [2]
    assert BrokerMessage.objects.get(sequence=1).broker_execution_id == "E-4"


def test_a_fact_twice_in_one_call_is_stored_as_it_was_told_first() -> None:
    account = make_account()
    assert told(account, fill("4"), fill("4", broker_execution_id="late"), fill("8")) == [1, 2]
    assert BrokerMessage.objects.get(sequence=1).broker_execution_id == "E-4"


def test_the_same_shares_written_in_another_way_are_the_same_fill() -> None:
    assert fill_key("B-1", D("10")) == fill_key("B-1", D("1E+1")) == fill_key("B-1", D("10.000"))
    assert fill_key("B-1", D("10")) != fill_key("B-1", D("1"))


@pytest.mark.parametrize(("kind", "again_is_new"), [("canceled", False), ("cancel_rejected", True)])
def test_a_refused_cancel_may_be_told_again_later_but_an_end_is_one(kind: str, again_is_new: bool) -> None:
    keys = {status_key("B-1", kind, MARKET_AT), status_key("B-1", kind, MARKET_AT + timedelta(seconds=1))}
    assert (len(keys) == 2) is again_is_new


def test_reports_are_read_in_their_order_above_the_cursor() -> None:
    account = make_account()
    told(account, fill("4"), Message(key="x", source=inbox.STREAM, at=MARKET_AT), ended(), fill("8"))
    assert [report.sequence for report in reports_since(account.pk, 0, 500)] == [1, 3, 4]
    assert [report.sequence for report in reports_since(account.pk, 1, 1)] == [3]
    assert reports_since(account.pk, 4, 500) == []


def test_a_report_is_what_was_told() -> None:
    account = make_account()
    told(account, fill("4", fee=D("0.01")), ended(cumulative_quantity=None, reason="by its owner"))
    assert reports_since(account.pk, 0, 500) == [
        BrokerReport(
            sequence=1,
            kind="fill",
            client_order_id="one",
            broker_order_id="B-1",
            at=MARKET_AT,
            cumulative_quantity=D(4),
            broker_execution_id="E-4",
            quantity=D(4),
            price=D("100.10"),
            fee=D("0.01"),
        ),
        BrokerReport(
            sequence=2,
            kind="canceled",
            client_order_id="one",
            broker_order_id="B-1",
            at=MARKET_AT,
            cumulative_quantity=D(0),
            reason="by its owner",
        ),
    ]


def test_what_is_told_reaches_the_book_once() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    messages = [fill("4", client_order_id=order.client_order_id), ended(client_order_id=order.client_order_id)]
    for source in (inbox.STREAM, inbox.POLL):
        told(account, *(Message(**{**_fields(message), "source": source}) for message in messages))
    Account.objects.filter(pk=account.pk).update(report_cursor=0)
    book_reports(account_id=account.pk, reports=reports_since(account.pk, 0, 500), wall_now=WALL_NOW)
    assert (again(order).status, again(order).filled_quantity) == (OrderStatus.CANCELED, 4)
    assert_books_balance(account)


@pytest.mark.parametrize(
    "fields",
    [
        {"price": None},
        {"price": D(0)},
        {"price": D("NaN")},
        {"price": D("1e40")},
        {"price": D("1e-40")},
        {"quantity": D(0)},
        {"quantity": D("-1")},
        {"quantity": D("0.0000000001")},
        {"quantity": None},
        {"cumulative_quantity": None},
        {"cumulative_quantity": D("Infinity")},
        {"broker_execution_id": ""},
        {"fee": D("sNaN")},
    ],
    ids=lambda fields: " ".join(f"{name}={value}" for name, value in fields.items()),
)
def test_a_fill_whose_numbers_make_no_sense_is_kept_and_a_better_telling_is_new(fields: dict[str, Any]) -> None:
    account = make_account()
    assert told(account, fill("4", **fields)) == [1]
    kept = BrokerMessage.objects.get()
    assert (kept.kind, kept.payload) == ("", {"event": "fill"})
    assert kept.reason
    assert reports_since(account.pk, 0, 500) == []
    assert told(account, fill("4")) == [2]
    assert [report.kind for report in reports_since(account.pk, 0, 500)] == ["fill"]


def test_the_same_senseless_fill_is_kept_once() -> None:
    account = make_account()
    assert [told(account, fill("4", price=D(0))), told(account, fill("4", price=D(0)))] == [[1], []]


def test_an_average_with_many_decimals_is_kept_in_the_ledgers_precision() -> None:
    account = make_account()
    told(account, fill("4", price=D("100.1234567891234"), fee=D("0.00000000049")))
    assert [(report.price, report.fee) for report in reports_since(account.pk, 0, 9)] == [(D("100.12345679"), D(0))]


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "a\x00b", "lone": "\ud800"},
        {"a\x00": [Decimal("1.10"), Decimal("NaN"), None, True, 7]},
        {"deep": [[[[[[[[[[[[[[[[["end"]]]]]]]]]]]]]]]]]},
    ],
)
def test_whatever_a_broker_writes_can_be_kept(payload: dict[str, Any]) -> None:
    account = make_account()
    assert told(account, fill("4", payload=payload, reason="\x00" * 400, client_order_id="c" * 500)) == [1]


def test_fractions_of_a_payload_are_kept_digit_by_digit() -> None:
    account = make_account()
    told(account, fill("4", payload={"price": Decimal("100.10"), "count": 3, "flag": None}))
    assert BrokerMessage.objects.get().payload == {"price": "100.10", "count": 3, "flag": None}


def test_a_key_too_long_for_the_column_still_names_one_fact() -> None:
    account = make_account()
    long = "x" * 500
    assert [told(account, fill("4", key=long)), told(account, fill("4", key=long)), told(account, fill("4"))] == [
        [1],
        [],
        [2],
    ]


def test_a_frame_that_cannot_be_read_is_kept_once() -> None:
    account = make_account()
    torn = Message(key=unreadable_key(b'{"str'), source=inbox.STREAM, at=MARKET_AT, payload={"raw": '{"str'})
    assert [told(account, torn), told(account, torn)] == [[1], []]


def test_messages_cannot_be_changed_or_deleted() -> None:
    account = make_account()
    told(account, fill("4"))
    with pytest.raises(DatabaseError, match="append"):
        BrokerMessage.objects.update(reason="never happened")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("kind", "wakes"), [("fill", True), ("", False)])
def test_a_report_wakes_the_dispatcher_and_other_messages_do_not(kind: str, wakes: bool) -> None:
    account = make_account()
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
    told(account, fill("4") if kind else Message(key="x", source=inbox.STREAM, at=MARKET_AT))
    raw: Any = connection.connection
    heard = [note.payload for note in raw.notifies(timeout=0.5 if wakes else 0.1, stop_after=1)]
    with connection.cursor() as cursor:
        cursor.execute(f"UNLISTEN {CHANNEL}")
    assert heard == ([str(account.pk)] if wakes else [])


def race(account: Account, tellers: int = 4) -> list[Any]:
    return together(*(lambda n=n: told(account, fill("4"), fill(str(100 + n))) for n in range(tellers)))


@pytest.mark.django_db(transaction=True)
def test_tellers_at_the_same_moment_store_a_fact_once_and_leave_no_gap() -> None:
    account = make_account()
    outcomes = race(account)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert sorted(number for outcome in outcomes for number in outcome) == [1, 2, 3, 4, 5]
    assert list(BrokerMessage.objects.order_by("sequence").values_list("sequence", flat=True)) == [1, 2, 3, 4, 5]


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_the_same_tellers_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test before: it is the lock that numbers."""
    account = make_account()
    BrokerLink.objects.create(account=account)
    barrier = Barrier(4, timeout=5)

    def unlocked(account_id: int) -> BrokerLink:
        link = BrokerLink.objects.get(account_id=account_id)
        with suppress(BrokenBarrierError):
            barrier.wait()
        return link

    monkeypatch.setattr(inbox, "_locked_link", unlocked)
    assert [outcome for outcome in race(account) if isinstance(outcome, DatabaseError)]


def _fields(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in Message.__dataclass_fields__}
