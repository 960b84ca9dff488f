"""New terms at the built-in exchange: one transaction in which one order ends and another takes its place."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execution.brokers.base import (
    BrokerOutcomeUnknown,
    BrokerRejected,
    DuplicateClientOrderId,
    OrderNotCancelable,
    OrderNotFound,
    OrderNotReplaceable,
)
from execution.brokers.paper import PaperBroker
from execution.brokers.paper import broker as adapter
from execution.models.paper import PaperOrder, PaperReport
from tests.execution.brokers.contract import AT, ReplacingContract, make_limit, make_request, make_terms
from tests.execution.brokers.paper_cases import OPEN, opening, session_end, tick, venue_state

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def broker() -> PaperBroker:
    return PaperBroker("desk", starting_cash=D(100_000))


def told(broker: PaperBroker) -> list[tuple[str, str, Decimal]]:
    return [(r.kind, r.client_order_id, r.cumulative_quantity) for r in broker.reports_since(0)]


def status_of(broker: PaperBroker, client_order_id: str) -> str:
    found = broker.find(client_order_id)
    assert found is not None
    return found.status


class TestPaperBroker(ReplacingContract):
    @pytest.fixture
    def broker(self) -> PaperBroker:
        return PaperBroker("desk")

    def fill(self, broker: PaperBroker) -> None:
        broker.advance([opening("100.25")])


def test_the_old_order_ends_and_the_new_one_begins_in_one_answer(broker: PaperBroker) -> None:
    broker.submit(make_limit(), at=AT)
    broker.replace(make_terms(), at=AT)
    assert told(broker) == [("accepted", "one", 0), ("accepted", "one-R1", 0), ("replaced", "one", 0)]
    old, new = PaperOrder.objects.order_by("sequence")
    assert (new.replaces, old.reason) == (old, "replaced by one-R1")


def test_what_was_filled_counts_against_the_new_total(broker: PaperBroker) -> None:
    broker.submit(make_limit(quantity=D(100), limit_price=D(101)), at=AT)
    broker.advance([opening("100", volume=400)])
    successor = broker.replace(make_terms(quantity=D(70), limit_price=D(101)), at=OPEN)
    assert successor.quantity == 30
    broker.advance([tick("100", minute=5)])
    assert [(position.symbol, position.quantity) for position in broker.positions()] == [("AAPL", D(70))]
    assert status_of(broker, "one-R1") == "filled"


def test_a_chain_of_replacements_counts_all_that_was_filled_before(broker: PaperBroker) -> None:
    broker.submit(make_limit(quantity=D(100), limit_price=D(101)), at=AT)
    broker.advance([opening("100", volume=100)])
    broker.replace(make_terms(quantity=D(80), limit_price=D(101)), at=OPEN)
    broker.advance([tick("100", minute=5, volume=100)])
    third = make_terms("one-R1", client_order_id="one-R2", quantity=D(50), limit_price=D(101))
    assert broker.replace(third, at=OPEN).quantity == 30
    broker.advance([tick("100", minute=6)])
    assert broker.positions()[0].quantity == 50


@pytest.mark.parametrize("total", ["40", "39", "0", "-1"])
def test_a_total_that_is_filled_already_is_refused_and_the_old_order_works_on(broker: PaperBroker, total: str) -> None:
    broker.submit(make_limit(quantity=D(100), limit_price=D(101)), at=AT)
    broker.advance([opening("100", volume=400)])
    with pytest.raises(BrokerRejected) as refused:
        broker.replace(make_terms(quantity=D(total), limit_price=D(101)), at=OPEN)
    assert refused.value.code == "invalid_quantity"
    assert "40" in refused.value.reason
    assert status_of(broker, "one") == "partially_filled"
    assert broker.find("one-R1") is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"limit_price": D("49.001")}, "sub_penny_price"),
        ({"limit_price": None}, "missing_limit_price"),
        ({"stop_price": D(60)}, "unexpected_stop_price"),
        ({"quantity": D("NaN")}, "invalid_quantity"),
        ({"quantity": D("2.5")}, "fractional_quantity"),
        ({"time_in_force": "never"}, "malformed"),
        ({"client_order_id": ""}, "malformed"),
    ],
)
def test_terms_that_make_no_sense_change_nothing(broker: PaperBroker, fields: dict[str, Any], code: str) -> None:
    broker.submit(make_limit(), at=AT)
    before = venue_state("desk")
    with pytest.raises(BrokerRejected) as refused:
        broker.replace(make_terms(**fields), at=AT)
    assert refused.value.code == code
    assert venue_state("desk") == before


def test_another_broker_id_than_the_originals_is_not_found(broker: PaperBroker) -> None:
    broker.submit(make_limit(), at=AT)
    with pytest.raises(OrderNotFound):
        broker.replace(make_terms(original_broker_order_id="somebody else's"), at=AT)


def test_a_filled_and_a_replaced_order_take_no_new_terms(broker: PaperBroker) -> None:
    broker.submit(make_limit(limit_price=D(101)), at=AT)
    broker.submit(make_limit("two"), at=AT)
    broker.replace(make_terms("two"), at=AT)
    broker.advance([opening("100")])
    for name in ("one", "two"):
        with pytest.raises(OrderNotReplaceable):
            broker.replace(make_terms(name, client_order_id="late"), at=OPEN)
    assert broker.find("late") is None


def test_an_order_of_a_group_takes_no_new_terms(broker: PaperBroker) -> None:
    broker.submit(make_limit(), at=AT)
    PaperOrder.objects.update(order_class="bracket")
    with pytest.raises(OrderNotReplaceable, match="group"):
        broker.replace(make_terms(), at=AT)


def test_an_auction_order_cannot_change_after_the_cut_off(broker: PaperBroker) -> None:
    broker.submit(make_request(order_type="limit", limit_price=D(100), time_in_force="opg"), at=AT)
    with pytest.raises(BrokerRejected) as refused:
        broker.replace(make_terms(time_in_force="opg", limit_price=D(99)), at=OPEN)
    assert refused.value.code == "opg_window"
    assert status_of(broker, "one") == "accepted"


def test_the_new_order_meets_only_what_comes_after_it(broker: PaperBroker) -> None:
    broker.submit(make_limit(limit_price=D(90)), at=AT)
    at = OPEN.replace(minute=40)
    broker.replace(make_terms(limit_price=D(101)), at=at)
    assert broker.advance([tick("100", minute=10)]) == 0
    assert broker.advance([tick("100", minute=11)]) == 1


def test_a_stop_that_was_reached_stays_reached(broker: PaperBroker) -> None:
    stop = make_request(order_type="stop_limit", stop_price=D(101), limit_price=D(101), quantity=D(10))
    broker.submit(stop, at=AT)
    broker.advance([opening("100"), tick("101.5", minute=1)])
    with pytest.raises(OrderNotReplaceable, match="stop price"):
        broker.replace(make_terms(stop_price=D(102), limit_price=D(103)), at=OPEN)
    broker.replace(make_terms(quantity=D(10), stop_price=D(101), limit_price=D(100)), at=OPEN.replace(minute=32))
    broker.advance([tick("99.5", minute=3)])
    assert status_of(broker, "one-R1") == "filled"


def test_the_replaced_order_cannot_be_canceled_and_the_new_one_can(broker: PaperBroker) -> None:
    broker.submit(make_limit(), at=AT)
    broker.replace(make_terms(), at=AT)
    with pytest.raises(OrderNotCancelable) as refused:
        broker.cancel(client_order_id="one", broker_order_id="", at=AT)
    assert "replaced" in refused.value.reason
    broker.cancel(client_order_id="one-R1", broker_order_id="", at=AT)
    assert broker.open_orders() == []


def test_a_day_order_that_was_made_gtc_outlives_the_session(broker: PaperBroker) -> None:
    broker.submit(make_limit(), at=AT)
    broker.replace(make_terms(time_in_force="gtc"), at=AT)
    broker.advance([session_end()])
    assert [order.client_order_id for order in broker.open_orders()] == ["one-R1"]


def test_a_database_that_goes_away_leaves_the_question_open(
    broker: PaperBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(**_fields: object) -> None:
        raise OperationalError("the server closed the connection")

    broker.submit(make_limit(), at=AT)
    monkeypatch.setattr(adapter, "replace_order", gone)
    with pytest.raises(BrokerOutcomeUnknown):
        broker.replace(make_terms(), at=AT)


def test_the_same_replacement_again_is_a_used_id(broker: PaperBroker) -> None:
    broker.submit(make_limit(), at=AT)
    broker.replace(make_terms(), at=AT)
    with pytest.raises(DuplicateClientOrderId):
        broker.replace(make_terms(), at=AT)
    assert PaperReport.objects.count() == 3


steps = st.lists(
    st.tuples(st.sampled_from(["replace", "tick"]), st.integers(1, 120), st.sampled_from(["99", "100", "101", "103"])),
    max_size=12,
)


@given(steps)
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
def test_a_chain_never_buys_more_than_its_newest_total(moves: list[tuple[str, int, str]]) -> None:
    broker = PaperBroker(f"chain-{PaperOrder.objects.count()}")
    broker.submit(make_limit("c", quantity=D(60), limit_price=D(101)), at=AT)
    broker.advance([opening("102")])
    newest, total, number = "c", D(60), 0
    for minute, (kind, size, price) in enumerate(moves, start=1):
        if kind == "tick":
            broker.advance([tick(price, minute=minute, volume=size * 5)])
            continue
        number += 1
        terms = replace(make_terms(newest), client_order_id=f"c-R{number}", quantity=D(size), limit_price=D(price))
        try:
            broker.replace(terms, at=OPEN.replace(minute=30 + minute))
        except BrokerRejected:
            continue
        newest, total = terms.client_order_id, D(size)
    held = sum((position.quantity for position in broker.positions()), D(0))
    assert held <= total
    assert len(broker.open_orders()) <= 1
    found = broker.find(newest)
    assert found is not None
    assert (found.status == "filled") == (held == total)
