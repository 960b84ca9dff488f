"""Each control on a real database: many at once, seen from a new connection, and with something away that it needs."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import redis
from django.db import DatabaseError, connection
from pytest_django import DjangoCaptureOnCommitCallbacks

from execution.gateway import statements
from execution.models import Account, Order
from execution.selectors import reservation_drift
from execution.states import OrderStatus
from marketdata.models import Quote
from risk import selectors
from risk.models import Decision
from risk.types import DenialCode
from tests.controls.scenarios import SCENARIOS, Scenario
from tests.factories import submit

THREADS = 8


def every(cell: str) -> list[Any]:
    return [pytest.param(each, marks=pytest.mark.control(each.number, cell), id=str(each.number)) for each in SCENARIOS]


def codes_of(account: Account, **fields: Any) -> set[DenialCode]:
    return {denial.code for denial in submit(account, **fields).denials}


def at_once(account: Account, wishes: list[dict[str, Any]]) -> int:
    """Submit all at the same moment, each on a connection of its own; returns how many were accepted."""
    barrier = Barrier(len(wishes))

    def one(wish: dict[str, Any]) -> bool:
        try:
            connection.ensure_connection()
            barrier.wait(60)
            return submit(account, **wish).accepted
        finally:
            connection.close()

    with ThreadPoolExecutor(len(wishes)) as pool:
        return sum(pool.map(one, wishes))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scenario", every("concurrent"))
def test_of_many_at_once_exactly_those_pass_that_there_is_room_for(scenario: Scenario) -> None:
    account = scenario.begin()
    before = Order.objects.filter(status=OrderStatus.PENDING).count()
    if scenario.shut is not None:
        assert at_once(account, [scenario.wish(number) for number in range(THREADS)]) == THREADS
        scenario.shut(account)
        passed, room = THREADS, 0
        wishes = [scenario.over(number) for number in range(THREADS, 2 * THREADS)]
    else:
        passed, room = 0, scenario.room
        wishes = [scenario.wish(number) for number in range(room)]
        wishes += [scenario.over(number) for number in range(room, THREADS)]
    assert at_once(account, wishes) == room
    assert Order.objects.filter(status=OrderStatus.PENDING).count() - before == passed + room
    assert reservation_drift(account) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scenario", every("restart"))
def test_a_new_connection_with_an_empty_memory_sees_the_same(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = scenario.begin()
    scenario.exhaust(account)
    monkeypatch.setattr(selectors, "_cache", selectors._LimitCache())
    connection.close()
    assert codes_of(account, **scenario.over(50)) & set(scenario.codes)


@pytest.mark.django_db
@pytest.mark.parametrize("scenario", every("dependency"))
def test_with_redis_away_it_decides_the_same(
    scenario: Scenario,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    def away(*_args: Any, **_kwargs: Any) -> None:
        raise redis.ConnectionError("Redis is away")

    monkeypatch.setattr(redis.connection.AbstractConnection, "connect", away)
    with django_capture_on_commit_callbacks(execute=True):
        account = scenario.begin()
        scenario.exhaust(account)
        assert codes_of(account, **scenario.over(50)) & set(scenario.codes)


@pytest.mark.django_db
@pytest.mark.parametrize("scenario", every("dependency"))
def test_without_a_price_nothing_passes(scenario: Scenario) -> None:
    account = scenario.begin()
    Quote.objects.filter(feed=account.feed).delete()
    before = Order.objects.filter(status=OrderStatus.PENDING).count()
    assert DenialCode.PRICE_UNAVAILABLE in codes_of(account, **scenario.wish(0))
    assert Order.objects.filter(status=OrderStatus.PENDING).count() == before


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["READ_CASE", "WRITE_ORDERS"])
@pytest.mark.parametrize("scenario", every("dependency"))
def test_when_the_database_fails_there_is_no_order(
    scenario: Scenario, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = scenario.begin()
    before = (Order.objects.count(), Decision.objects.count())
    with monkeypatch.context() as patched:
        patched.setattr(statements, name, "SELECT 1 / 0")
        with pytest.raises(DatabaseError):
            submit(account, **scenario.wish(0))
    assert (Order.objects.count(), Decision.objects.count()) == before
