"""A cancel that is not done is said on every page: which order, how long, and that it may still fill."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from execution.models import Account, Order
from execution.services.cancels import request_cancel
from marketdata.clock import wall_now
from ops_console.snapshot.desk import ANSWER_LATE, CANCEL_LATE, read_desk
from ops_console.snapshot.problems import Problem, problems
from tests.execution.cases import accepted_order, recorded
from tests.execution.fake_broker import FakeBroker
from tests.factories import D, allow_bursts, make_account, make_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(settings: Any) -> Account:
    settings.TRADING_MODE = "paper"
    account = make_account(name="paper")
    allow_bursts()
    return account


def shown(now: datetime) -> list[Problem]:
    return [problem for problem in problems(read_desk(now)) if "cancel" in problem.title]


def working(account: Account, broker: FakeBroker, **fields: Any) -> Order:
    """Make an order that the broker has."""
    return accepted_order(account, broker, order_type="limit", limit_price=D(99), **fields)


def cancel(order: Order, now: datetime) -> None:
    request_cancel(order=order, operator="ann", wall_now=now)


def test_a_cancel_on_its_way_is_no_problem_and_one_that_is_stuck_is(account: Account) -> None:
    now = wall_now()
    cancel(working(account, FakeBroker()), now)
    assert shown(now + CANCEL_LATE) == []
    (problem,) = shown(now + timedelta(seconds=35))
    assert (problem.tone, problem.title) == ("bad", "A cancel is not done after 35 s: buy 10 AAPL")
    assert "may still fill" in problem.next_step


def test_the_oldest_is_named_and_the_others_are_counted(account: Account) -> None:
    now, broker = wall_now(), FakeBroker()
    orders = [working(account, broker, client_order_id=name, quantity=D(7)) for name in ("b", "c", "d")]
    for seconds, order in enumerate(orders):
        cancel(order, now + timedelta(seconds=seconds))
    (problem,) = shown(now + timedelta(minutes=2))
    assert problem.title.endswith("buy 7 AAPL, and 2 more cancels")


def test_it_is_gone_when_the_order_is(account: Account) -> None:
    now, broker = wall_now(), FakeBroker()
    order = working(account, broker)
    cancel(order, now)
    broker.end(order.client_order_id, "canceled")
    recorded(account, broker)
    assert shown(now + timedelta(minutes=2)) == []


def test_an_order_that_the_broker_does_not_answer_is_said(account: Account) -> None:
    now = wall_now()
    order = make_order(account)
    Order.objects.filter(pk=order.pk).update(status="submitted", submitted_at=now)
    assert [p.title for p in problems(read_desk(now + ANSWER_LATE)) if "answered" in p.title] == []
    (problem,) = [p for p in problems(read_desk(now + timedelta(seconds=4))) if "answered" in p.title]
    assert (problem.tone, problem.title) == ("warn", "The broker has not answered for 4 s: buy 10 AAPL")
    assert "not sent again" in problem.next_step
