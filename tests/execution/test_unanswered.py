"""An order that cannot be asked about keeps no other without an answer, and a round does not ask for ever."""

from datetime import timedelta

import pytest

from execution.brokers.base import BrokerError, BrokerUnavailable, BrokerUnreachable
from execution.models import Account, Order
from execution.services.claims import claim_pending
from execution.services.dispatch import request_of
from execution.services.recovery import MOST_ASKED, recover_account, resolve_unanswered
from tests.execution.cases import MARKET_AT, WALL_NOW, again, desk, make_order
from tests.execution.fake_broker import FakeBroker
from tests.factories import allow_bursts

pytestmark = pytest.mark.django_db
LATER = WALL_NOW + timedelta(minutes=1)


def lost_answers(account: Account, broker: FakeBroker, count: int) -> list[Order]:
    """Make orders that the broker has taken and whose answers were lost."""
    allow_bursts()
    orders = [make_order(account, client_order_id=f"n{number}") for number in range(count)]
    claim_pending(account=account, dry_run=False, wall_now=WALL_NOW, market_at=MARKET_AT, limit=count)
    for order in orders:
        broker.submit(request_of(again(order)), at=MARKET_AT)
    return orders


def fails_for(broker: FakeBroker, name: str, error: type[BrokerError]) -> list[str]:
    asked: list[str] = []

    def find(client_order_id: str) -> None:
        asked.append(client_order_id)
        if client_order_id == name:
            raise error("this one cannot be told")

    broker.before_find = find
    return asked


def test_an_order_that_cannot_be_asked_about_keeps_no_other_without_an_answer() -> None:
    account, broker = desk()
    first, *others = lost_answers(account, broker, 3)
    fails_for(broker, first.client_order_id, BrokerUnavailable)
    with pytest.raises(BrokerUnavailable):
        resolve_unanswered(account=account, broker=broker, wall_now=LATER)
    assert again(first).status == "submitted"
    assert [again(order).status for order in others] == ["accepted", "accepted"]


def test_one_that_nobody_answers_for_is_not_asked_about_first_for_ever() -> None:
    account, broker = desk()
    first, *others = lost_answers(account, broker, 3)
    fails_for(broker, first.client_order_id, BrokerUnreachable)
    for microseconds in range(3):
        with pytest.raises(BrokerUnreachable):
            resolve_unanswered(account=account, broker=broker, wall_now=LATER + timedelta(microseconds=microseconds))
    assert [again(order).status for order in others] == ["accepted", "accepted"]


def test_nobody_is_asked_again_when_nobody_answers() -> None:
    account, broker = desk()
    first, *_others = lost_answers(account, broker, 3)
    asked = fails_for(broker, first.client_order_id, BrokerUnreachable)
    with pytest.raises(BrokerUnreachable):
        resolve_unanswered(account=account, broker=broker, wall_now=LATER)
    assert asked == [first.client_order_id]


def test_a_round_asks_about_some_and_a_start_about_all() -> None:
    account, broker = desk()
    lost_answers(account, broker, MOST_ASKED + 2)
    broker.reports.clear()  # otherwise the start would not have to ask
    asked = fails_for(broker, "", BrokerUnavailable)
    assert resolve_unanswered(account=account, broker=broker, wall_now=LATER) == MOST_ASKED
    assert len(asked) == MOST_ASKED
    assert recover_account(account=account, broker=broker, wall_now=LATER) == 2
