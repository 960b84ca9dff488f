"""A cancel that fails keeps no other from leaving, and does not use up the minute's requests."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from execution.brokers.base import BrokerError, BrokerUnavailable, BrokerUnreachable
from execution.models import Account, Order
from execution.services.cancel_sending import send_cancels
from execution.services.cancel_turns import LONGEST_WAIT, Turns
from execution.services.cancels import request_cancel
from execution.services.claims import claim_pending
from execution.services.dispatch import request_of
from tests.execution.cases import MARKET_AT, WALL_NOW, accepted_order, again, desk, make_order
from tests.execution.fake_broker import FakeBroker
from tests.factories import allow_bursts

pytestmark = pytest.mark.django_db


def nameless_order(account: Account, name: str) -> Order:
    """Make an order whose submit has no answer."""
    order = make_order(account, client_order_id=name)
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=1)
    return order


def failing(tried: list[str], *names: str, error: type[BrokerError]) -> Callable[[str], None]:
    def fail(client_order_id: str) -> None:
        tried.append(client_order_id)
        if client_order_id in names:
            raise error("nobody answers")

    return fail


def want_gone(*orders: Order) -> None:
    for order in orders:
        request_cancel(order=again(order), operator="ann", wall_now=WALL_NOW)


def send(account: Account, broker: FakeBroker, turns: Turns, seconds: int = 0, at: datetime = WALL_NOW) -> int:
    return send_cancels(
        account=account, broker=broker, wall_now=at + timedelta(seconds=seconds), market_at=MARKET_AT, turns=turns
    )


def test_three_cancels_that_nobody_answers_do_not_keep_the_others_for_ever() -> None:
    account, broker = desk()
    allow_bursts()
    stuck = [accepted_order(account, broker, client_order_id=f"stuck{number}") for number in range(3)]
    last = accepted_order(account, broker, client_order_id="last")
    want_gone(*stuck, last)
    broker.before_cancel = failing([], *(order.client_order_id for order in stuck), error=BrokerUnreachable)
    turns = Turns()
    assert send(account, broker, turns) == 0
    assert send(account, broker, turns) == 1
    assert broker.cancels == ["last"]


def test_orders_that_the_broker_knows_go_before_those_that_must_be_asked_for() -> None:
    account, broker = desk()
    allow_bursts()
    unknown = [nameless_order(account, f"unknown{number}") for number in range(3)]
    known = accepted_order(account, broker, client_order_id="known")
    want_gone(*unknown, known)
    tried: list[str] = []
    broker.before_cancel = failing(tried, *(order.client_order_id for order in unknown), error=BrokerUnreachable)
    assert send(account, broker, Turns()) == 1
    assert tried[0] == "known"


def test_a_cancel_that_is_refused_again_and_again_is_asked_for_more_and_more_seldom() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    want_gone(order)
    tried: list[str] = []
    broker.before_cancel = failing(tried, order.client_order_id, error=BrokerUnavailable)
    turns = Turns()
    for second in range(16):
        send(account, broker, turns, second)
    assert len(tried) == 6  # at once, then after 1, 2, 4, 4, … seconds


def test_who_learns_the_brokers_id_waits_no_longer() -> None:
    account, broker = desk()
    order = nameless_order(account, "slow")
    want_gone(order)
    turns = Turns()
    assert send(account, broker, turns) == 0
    broker.submit(request_of(again(order)), at=MARKET_AT)
    Order.objects.filter(pk=order.pk).update(broker_order_id="B-1")
    assert send(account, broker, turns) == 1


def test_a_clock_that_is_set_back_holds_no_cancel() -> None:
    account, broker = desk()
    order = accepted_order(account, broker)
    want_gone(order)
    turns = Turns()
    broker.before_cancel = failing([], order.client_order_id, error=BrokerUnavailable)
    send(account, broker, turns)
    broker.before_cancel = None
    assert send(account, broker, turns, at=WALL_NOW - timedelta(hours=1) - LONGEST_WAIT) == 1
