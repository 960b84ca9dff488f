"""Wanting the same thing twice has one name; wanting anything else has another."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.identity import client_order_id, exact, intent_key
from risk.types import OrderType, Origin, Side, TimeInForce
from tests.factories import make_intent

DAY = date(2012, 6, 14)
D = Decimal

CHANGES = [
    {"symbol": "MSFT"},
    {"side": Side.SELL},
    {"quantity": D(11)},
    {"limit_price": D(100)},
    {"stop_price": D(100)},
    {"order_type": OrderType.LIMIT},
    {"time_in_force": TimeInForce.OPG},
    {"extended_hours": True},
    {"reduce_only": True},
    {"strategy": "momentum"},
    {"parent_id": 1},
    {"slice_number": 1},
]


@pytest.mark.parametrize("change", CHANGES, ids=[next(iter(change)) for change in CHANGES])
def test_another_wish_has_another_key(change: dict[str, object]) -> None:
    assert intent_key(make_intent(**change), DAY) != intent_key(make_intent(), DAY)


@pytest.mark.parametrize(
    "same", [{"origin": Origin.RUN}, {"source_ref": "run:7"}, {"client_order_id": "mine"}, {"idempotency_key": "k"}]
)
def test_who_asks_and_under_which_name_is_not_part_of_the_wish(same: dict[str, object]) -> None:
    assert intent_key(make_intent(**same), DAY) == intent_key(make_intent(), DAY)


def test_another_session_has_another_key() -> None:
    assert intent_key(make_intent(), DAY) != intent_key(make_intent(), date(2012, 6, 15))


def test_a_limit_is_not_a_stop_at_the_same_price() -> None:
    limit, stop = make_intent(limit_price=D(5)), make_intent(stop_price=D(5))
    assert intent_key(limit, DAY) != intent_key(stop, DAY)


def test_parts_cannot_run_into_each_other() -> None:
    assert intent_key(make_intent(symbol="AB", strategy="c"), DAY) != intent_key(
        make_intent(symbol="A", strategy="Bc"), DAY
    )


@pytest.mark.parametrize("text", ["10", "10.0", "1E+1", "10.00000000"])
def test_equal_quantities_are_one_wish(text: str) -> None:
    assert intent_key(make_intent(quantity=D(text)), DAY) == intent_key(make_intent(quantity=D(10)), DAY)


def test_every_attempt_has_an_id_of_its_own_and_the_same_on_every_machine() -> None:
    ids = [client_order_id(make_intent(), DAY, attempt) for attempt in (1, 2, 3)]
    assert len(set(ids)) == 3
    assert all(len(one) == 64 and int(one, 16) >= 0 for one in ids)
    assert intent_key(make_intent(), DAY) not in ids


@given(st.decimals(min_value=D("-1e11"), max_value=D("1e11"), places=8))
def test_exact_text_is_the_same_number(value: Decimal) -> None:
    assert D(exact(value)) == value
    assert exact(value) == exact(value + D("0.00"))


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (D("NaN"), "NaN"), (D("-Infinity"), "-Infinity"), (D("sNaN"), "sNaN")]
)
def test_what_is_no_number_is_said_as_it_is(value: Decimal | None, text: str) -> None:
    assert exact(value) == text


def test_the_key_does_not_depend_on_how_the_intent_was_built() -> None:
    built = replace(make_intent(quantity=D(3)), quantity=D(10))
    assert intent_key(built, DAY) == intent_key(make_intent(), DAY)
