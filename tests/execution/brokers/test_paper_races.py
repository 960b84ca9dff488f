"""Many hands at one venue; each proof has a control in which the lock is missing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import IntegrityError, connection

from execution.brokers.base import DuplicateClientOrderId
from execution.brokers.paper import PaperBroker
from execution.brokers.paper import broker as adapter
from execution.brokers.paper.entry import enter_orders
from execution.models.paper import PaperOrder, PaperReport, PaperVenue
from tests.execution.brokers.contract import AT, make_request
from tests.execution.brokers.paper_cases import opening, tick

pytestmark = pytest.mark.django_db(transaction=True)
HANDS = 8


def together(work: Callable[[int], object]) -> list[object]:
    """Run the work in as many threads as there are hands, all from one start; return answers and database errors."""
    barrier = Barrier(HANDS)

    def run(number: int) -> object:
        try:
            barrier.wait()
            return work(number)
        except (DuplicateClientOrderId, IntegrityError) as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(HANDS) as pool:
        return list(pool.map(run, range(HANDS)))


@pytest.fixture
def broker() -> PaperBroker:
    broker = PaperBroker("desk")
    broker.account()
    return broker


def test_one_id_from_many_hands_is_one_order(broker):
    answers = together(lambda _: broker.submit(make_request(), at=AT))
    assert PaperOrder.objects.count() == 1
    assert sum(isinstance(answer, DuplicateClientOrderId) for answer in answers) == HANDS - 1


def test_reports_of_many_hands_have_no_gap(broker):
    together(lambda number: broker.submit(make_request(f"order-{number}"), at=AT))
    assert [report.sequence for report in broker.reports_since(0)] == list(range(1, HANDS + 1))
    assert PaperVenue.objects.get().order_count == HANDS


def test_without_the_lock_numbers_collide(broker, monkeypatch):
    barrier = Barrier(HANDS)

    def enter_when_all_have_read(**fields):
        barrier.wait(timeout=20)
        return enter_orders(**fields)

    monkeypatch.setattr(adapter, "lock_venue", lambda **_: PaperVenue.objects.get(account_name="desk"))
    monkeypatch.setattr(adapter, "enter_orders", enter_when_all_have_read)
    answers = together(lambda number: broker.submit(make_request(f"order-{number}"), at=AT))
    assert sum(isinstance(answer, IntegrityError) for answer in answers) == HANDS - 1


def test_one_event_told_by_many_hands_counts_once(broker):
    broker.submit(make_request(), at=AT)
    written = together(lambda _: broker.advance([opening(), tick()]))
    assert sorted(written) == [0] * (HANDS - 1) + [1]
    assert PaperReport.objects.filter(kind="fill").count() == 1
    assert [position.quantity for position in broker.positions()] == [10]


def test_a_venue_opened_by_many_hands_is_one(broker):
    together(lambda number: PaperBroker("new").submit(make_request(f"order-{number}"), at=AT))
    assert PaperVenue.objects.filter(account_name="new").count() == 1
