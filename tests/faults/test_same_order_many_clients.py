"""The same order at once from fifty clients is one order; the same id with another body changes nothing."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection

from execution.brokers.registry import broker_for
from execution.errors import OrderConflict
from execution.models import Account, Order, OrderEvent, Position
from execution.models.paper import PaperOrder
from execution.services.dispatch import dispatch_once
from execution.types import SubmitResult
from risk.models import Decision
from tests.factories import WALL_NOW, allow_bursts, make_account, submit

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 50


def burst(account: Account, **fields: object) -> list[SubmitResult]:
    barrier = Barrier(CLIENTS)

    def one(_number: int) -> SubmitResult:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            return submit(account, **fields)
        finally:
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(one, range(CLIENTS)))


@pytest.mark.parametrize(
    "identity", [{"client_order_id": "mine-1"}, {"idempotency_key": "key-1"}, {}], ids=["id", "key", "same wish"]
)
def test_one_row_and_one_broker_order(identity: dict[str, str]) -> None:
    allow_bursts()
    account = make_account()
    results = burst(account, **identity)
    assert sum(result.created for result in results) == 1
    assert len({result.order.pk for result in results if result.order}) == 1
    dispatch_once(account=account, broker=broker_for(account), wall_now=WALL_NOW)
    assert Order.objects.filter(account=account).count() == 1
    assert PaperOrder.objects.filter(venue__account_name=account.name).count() == 1
    assert Position.objects.get(account=account).open_buy_quantity == 10


@pytest.mark.parametrize("identity", [{"client_order_id": "mine-2"}, {"idempotency_key": "key-2"}], ids=["id", "key"])
@pytest.mark.parametrize("change", [{"quantity": Decimal(11)}, {"symbol": "MSFT"}, {"reduce_only": True}])
def test_the_same_id_with_another_body_is_refused_and_changes_nothing(
    identity: dict[str, str], change: dict[str, object]
) -> None:
    account = make_account()
    submit(account, **identity)
    before = [model.objects.count() for model in (Order, OrderEvent, Decision, Position)]
    with pytest.raises(OrderConflict):
        submit(account, **identity, **change)
    assert [model.objects.count() for model in (Order, OrderEvent, Decision, Position)] == before
