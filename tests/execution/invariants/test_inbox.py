"""The checker finds messages without effect, with two, and effects that nobody told."""

from datetime import timedelta

import pytest

from execution.invariants.inbox import check_inbox
from execution.models import Account, BrokerMessage, Fill, InferredFill, Supersession
from execution.services.inbox import STREAM, Message, fill_key, receive, reports_since
from execution.services.reports import book_reports
from tests.execution.cases import D, accepted_order, desk
from tests.execution.invariants.planting import plant, text, told
from tests.factories import MARKET_AT, WALL_NOW, allow_bursts

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard() -> Account:
    """A desk that was told two executions of an order, and has booked both."""
    allow_bursts()
    account, broker = desk()
    order = accepted_order(account, broker, quantity=D(30))
    Account.objects.filter(pk=account.pk).update(report_cursor=0)
    for cumulative in (10, 25):
        execution = Message(
            key=fill_key(order.broker_order_id, D(cumulative)),
            source=STREAM,
            kind="fill",
            client_order_id=order.client_order_id,
            broker_order_id=order.broker_order_id,
            broker_execution_id=f"e{cumulative}",
            at=MARKET_AT + timedelta(seconds=cumulative),
            quantity=D(10) if cumulative == 10 else D(15),
            price=D(100),
            cumulative_quantity=D(cumulative),
        )
        receive(account_id=account.pk, messages=[execution], wall_now=WALL_NOW)
    reports = reports_since(account.pk, 0, 10)
    assert book_reports(account_id=account.pk, reports=reports, wall_now=WALL_NOW) == 2
    return account


def test_an_inbox_that_was_read_has_no_violation(heard):
    assert check_inbox(heard) == []


def test_what_was_not_read_yet_is_no_violation(heard):
    plant("DELETE FROM execution_fill WHERE broker_execution_id = 'e25'")
    Account.objects.update(report_cursor=1)
    assert check_inbox(heard) == []


def test_an_account_without_an_inbox_has_nothing_to_check():
    account, _broker = desk()
    assert check_inbox(account) == []


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM execution_brokermessage WHERE sequence = 1", "1 are there"),
        ("UPDATE execution_brokerlink SET message_count = 3", "3 were numbered"),
        ("UPDATE execution_account SET report_cursor = 7", "7 was read"),
        ("DELETE FROM execution_fill WHERE broker_execution_id = 'e25'", "booked 0 times"),
        ("UPDATE execution_fill SET broker_execution_id = 'e10' WHERE broker_execution_id = 'e25'", "booked 2 times"),
        ("UPDATE execution_fill SET quantity = 14 WHERE broker_execution_id = 'e25'", "with 14"),
        ("UPDATE execution_fill SET price = 99 WHERE broker_execution_id = 'e10'", "at 99"),
        ("UPDATE execution_fill SET broker_execution_id = 'new' WHERE broker_execution_id = 'e10'", "told by no"),
    ],
)
def test_i6_an_effect_that_is_missing_or_too_much_is_found(heard, statement, says):
    plant(statement, without={"execution_fill": ("fill_execution_unique",)})
    found = check_inbox(heard)
    assert told(found) == {"I6"}
    assert says in text(found)


def test_i6_an_execution_that_was_refused_visibly_is_no_violation(heard):
    plant("DELETE FROM execution_fill WHERE broker_execution_id = 'e25'")
    plant(
        "INSERT INTO execution_refusedreport (account_id, sequence, reason, payload) VALUES (%s, 2, 'overfill', '{}')",
        heard.pk,
    )
    assert check_inbox(heard) == []


def test_i6_a_refusal_from_the_future_is_found(heard):
    plant(
        "INSERT INTO execution_refusedreport (account_id, sequence, reason, payload) VALUES (%s, 9, 'overfill', '{}')",
        heard.pk,
    )
    assert "refused before it was read" in text(check_inbox(heard))
    assert BrokerMessage.objects.count() == Fill.objects.count()


def test_i6_shares_that_were_inferred_are_the_executions_when_it_comes(heard):
    fill = Fill.objects.get(broker_execution_id="e25")
    plant("UPDATE execution_fill SET broker_execution_id = 'inferred:25' WHERE id = %s", fill.pk)
    row = InferredFill.objects.create(
        fill=fill, order=fill.order, from_quantity=D(10), to_quantity=D(25), created_at=WALL_NOW
    )
    assert "booked 0 times" in text(check_inbox(heard))
    Supersession.objects.create(
        inferred=row, broker_execution_id="e25", quantity=D(15), price=D(100), created_at=WALL_NOW
    )
    assert check_inbox(heard) == []
