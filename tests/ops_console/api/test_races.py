"""Many clients at once over HTTP."""

import json
from collections import Counter
from collections.abc import Callable
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from execution.models import Account, Order
from ops_console.scopes import Scope
from tests.ops_console.api.bodies import ORDERS, REASON, order
from tests.ops_console.api.conftest import Client

pytestmark = pytest.mark.django_db(transaction=True)
CLIENTS = 20


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run every call in a thread of its own, all released together; returns their answers."""
    barrier, answers = Barrier(len(calls)), [None] * len(calls)

    def run(position: int) -> None:
        barrier.wait()
        try:
            answers[position] = calls[position]()
        finally:
            connection.close()

    threads = [Thread(target=run, args=(position,)) for position in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def sender(client: APIClient, address: str, body: dict[str, Any], **headers: str) -> Callable[[], Any]:
    """Return the call of another client with the same token."""
    twin = APIClient(raise_request_exception=False)
    twin.credentials(**client._credentials)
    return lambda: twin.generic("POST", address, json.dumps(body), "application/json", False, **headers)


@pytest.mark.parametrize("key", ["key-1", ""])
def test_the_same_order_from_many_clients_is_one_order(account: Account, client_of: Client, key: str) -> None:
    client = client_of(Scope.TRADE)
    headers = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    answers = at_once([sender(client, ORDERS, order(), **headers) for _ in range(CLIENTS)])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CLIENTS - 1}
    assert len({answer.json()["client_order_id"] for answer in answers}) == 1
    assert Order.objects.count() == 1


def test_one_key_with_many_bodies_is_one_order_and_conflicts(account: Account, client_of: Client) -> None:
    client = client_of(Scope.TRADE)
    bodies = [order(quantity=str(number + 1)) for number in range(CLIENTS)]
    answers = at_once([sender(client, ORDERS, body, HTTP_IDEMPOTENCY_KEY="key-1") for body in bodies])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: CLIENTS - 1}
    assert Order.objects.count() == 1


def test_two_approvers_at_once_release_once(account: Account, client_of: Client) -> None:
    ann = client_of(Scope.RISK, name="ann")
    ann.post("/api/v1/kill-switch/engage", {"reason": REASON}, format="json")
    asked = ann.post(
        "/api/v1/kill-switch/disengage", {"reason": REASON, "word": "RELEASE GLOBAL"}, format="json"
    ).json()["approval_id"]
    approval = {"approval_id": asked}
    officers = [client_of(Scope.RISK, name=f"officer-{number}") for number in range(5)]
    answers = at_once([sender(officer, "/api/v1/kill-switch/disengage", approval) for officer in officers])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]


def test_an_order_that_waits_too_long_for_a_lock_is_503_and_works_later(account: Account, client_of: Client) -> None:
    client = client_of(Scope.TRADE)
    held, done = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            Account.objects.select_for_update(no_key=True).get(pk=account.pk)
            held.set()
            done.wait(10)
        connection.close()

    holder = Thread(target=hold)
    holder.start()
    assert held.wait(10)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
    waited = client.post(ORDERS, order(), format="json", HTTP_IDEMPOTENCY_KEY="key-1")
    done.set()
    holder.join()
    assert (waited.status_code, waited.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
    assert int(waited.headers["Retry-After"]) > 0
    assert not Order.objects.exists()
    assert client.post(ORDERS, order(), format="json", HTTP_IDEMPOTENCY_KEY="key-1").status_code == 201
    connection.close()
