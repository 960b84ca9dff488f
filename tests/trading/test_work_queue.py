"""Whatever stands in the queue's table: only our entrance is run."""

import pytest
from django.conf import settings
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from tests.factories import WALL_NOW
from trading import tasks
from trading.work_queue import AllowListedQueue, refusal_of

pytestmark = pytest.mark.django_db


def queue() -> AllowListedQueue:
    return AllowListedQueue(list_key="portcullis")


def test_our_task_is_handed_out() -> None:
    tasks.enqueue("worker_heartbeat", WALL_NOW.isoformat())
    assert [row_id for row_id, _ in queue().dequeue()] == [OrmQ.objects.get().pk]


@pytest.mark.parametrize("func", ["os.system", "trading.tasks.close_day", "trading.tasks.perform "])
def test_another_callable_is_taken_off_and_never_handed_out(func: str) -> None:
    async_task(func, "true")
    assert queue().dequeue() == []
    assert not OrmQ.objects.exists()


def test_task_that_would_call_something_afterwards_is_refused() -> None:
    async_task("trading.tasks.perform", "worker_heartbeat", hook="os.system")
    assert queue().dequeue() == []


def test_row_with_a_wrong_signature_is_refused() -> None:
    good = SignedPackage.dumps({"func": "trading.tasks.perform"})
    assert refusal_of(good) == ""
    assert refusal_of(good[:-1] + ("A" if good[-1] != "A" else "B")).startswith("unreadable")


def test_the_worker_uses_this_queue_and_no_scheduler() -> None:
    assert settings.Q_CLUSTER["broker_class"] == "trading.work_queue.AllowListedQueue"
    assert settings.Q_CLUSTER["scheduler"] is False
