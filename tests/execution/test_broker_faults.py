"""What goes wrong with the broker is counted where it is booked."""

from datetime import timedelta

import pytest

from execution.brokers.base import BrokerOutcomeUnknown, BrokerRejected, BrokerUnreachable
from execution.services.cancels import request_cancel
from risk.models import BrokerFault
from tests.execution.cases import WALL_NOW, D, accepted_order, desk, dispatch, make_order
from tests.factories import allow_bursts

pytestmark = pytest.mark.django_db


def faults():
    return list(BrokerFault.objects.order_by("id").values_list("kind", "code"))


def raising(error):
    def fail(*_):
        raise error

    return fail


@pytest.fixture
def both():
    return desk()


def test_a_rejected_order_is_one_reject(both):
    account, broker = both
    make_order(account)
    broker.before_submit = raising(BrokerRejected("no", code="40310000"))
    dispatch(account, broker)
    assert faults() == [("reject", "40310000")]
    found = BrokerFault.objects.get()
    assert (found.scope, found.reason, found.at) == (account.scope, "no", WALL_NOW)


def test_a_batch_that_fails_as_a_whole_is_one_error(both):
    account, broker = both
    allow_bursts()
    for number in range(3):
        make_order(account, quantity=D(number + 1))
    broker.before_batch = raising(BrokerOutcomeUnknown("timed out", code="timeout"))
    dispatch(account, broker)
    assert faults() == [("error", "timeout")]


def test_a_cancel_that_finds_nobody_is_an_error(both):
    account, broker = both
    order = accepted_order(account, broker)
    request_cancel(order=order, operator="test", wall_now=WALL_NOW)
    broker.before_cancel = raising(BrokerUnreachable("connection refused"))
    dispatch(account, broker, wall_now=WALL_NOW + timedelta(seconds=1))
    assert faults() == [("error", "BrokerUnreachable")]


def test_an_order_that_is_taken_is_no_fault(both):
    accepted_order(*both)
    assert faults() == []
