"""Legs of ours that the broker has named itself are nobody else's, also before the answer has told us their names."""

import pytest

from execution.models import Account, Order
from execution.reconciliation.compare import look_at_orders
from execution.services.dispatch import dispatch_once
from tests.execution.cases import WALL_NOW, desk
from tests.execution.group_cases import NamingBroker, group

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("are_known", [False, True])
def test_legs_without_a_name_are_no_strangers(are_known: bool) -> None:
    account, _ = desk(mode="alpaca_paper")
    Account.objects.filter(pk=account.pk).update(reconciliation=Account.Reconciliation.CLEAN)
    broker = NamingBroker()
    entry, *legs = group(account)
    dispatch_once(account=account, broker=broker, wall_now=WALL_NOW)
    if not are_known:  # a report has told the entry's id, and the process died before it had the answer
        Order.objects.filter(pk__in=[leg.pk for leg in legs]).update(broker_order_id="")
    listed = list(broker.orders.values())
    seen = look_at_orders(account=account, listed=listed, broker=broker, wall_now=WALL_NOW)
    assert len(listed) == 3
    assert seen.strangers == []
    assert [ours.pk for ours, _ in seen.pairs] == ([entry.pk, *(leg.pk for leg in legs)] if are_known else [entry.pk])
