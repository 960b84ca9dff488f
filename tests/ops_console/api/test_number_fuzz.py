"""Numbers that nobody should send: never a failure of ours, never stored as something else than was sent."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from execution.models import Account, Order
from ops_console.api.order_input import ORDER_FIELDS
from ops_console.api.parsing import parse_object
from ops_console.api.problems import Problem
from ops_console.api.throttling import limiter
from ops_console.api.wire import decimal_text
from tests.ops_console.api.bodies import ORDERS, order
from tests.ops_console.api.conftest import Client

STRANGE = [
    "NaN", "nan", "sNaN", "Infinity", "-Infinity", "inf", "1e308", "1e-30", "-1e308", "1E400", "0", "-0", "+0", "00010",
    "0x10", "1_000", "1,000", "١٢٣", "１２", "²", "½", " 1", "1 ", "1\n", "1.", ".5", "--1", "+1", "-1", "1e", "9" * 30,
    "9" * 31, "9" * 5_000, "0." + "0" * 29 + "1", "0.00000001", "0.000000001", "99999999.99999999",
    "999999999999.99999999", "1000000000000", "", "null", "true", "\u0000", "1\u0000", "𝟙", "1\u202e",
]  # fmt: skip
LITERALS = [
    "NaN", "Infinity", "-Infinity", "1e308", "1E400", "-1e-400", "1e-30", "-0", "-0.0", "0.1", "1.10", "1e2", "1E+2",
    "12345678901234567890", "9" * 64, "9" * 65, "0." + "1" * 60, "true", "false", "null", "[]", "{}", '"1"', "1e99999",
]  # fmt: skip


@pytest.fixture
def trader(account: Account, client_of: Client) -> APIClient:
    """Return a client that never runs out of its allowance."""
    return client_of()


def send(client: APIClient, raw: str) -> Any:
    limiter.forget()
    return client.generic("POST", ORDERS, raw, "application/json")


def assert_harmless(answer: Any, name: str, sent: Decimal | None) -> None:
    """An order exists only when the number that was sent could be read, and then with exactly that number."""
    assert answer.status_code in {200, 201, 400, 409, 422}, answer.content
    made = Order.objects.order_by("-pk").first()
    if answer.status_code in {200, 201}:
        assert sent is not None
        assert made is not None
        assert getattr(made, name) == sent > 0
        assert Decimal(answer.json()[name]) == sent
    if answer.status_code == 400:
        assert made is None or made.status != "pending"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["quantity", "limit_price", "stop_price"])
@pytest.mark.parametrize("text", STRANGE)
def test_strange_text_is_refused_or_kept_exactly(trader: APIClient, name: str, text: str) -> None:
    kind = {"quantity": {}, "limit_price": {"order_type": "limit"}, "stop_price": {"order_type": "stop"}}[name]
    answer = send(trader, json.dumps(order(**kind, **{name: text})))
    assert_harmless(answer, name, as_decimal(text))


@pytest.mark.django_db
@pytest.mark.parametrize("literal", LITERALS)
def test_strange_literals_are_refused_or_kept_exactly(trader: APIClient, literal: str) -> None:
    raw = json.dumps(order(quantity="@")).replace('"@"', literal)
    assert_harmless(send(trader, raw), "quantity", as_decimal(literal.strip('"')))


@given(
    text=st.one_of(
        st.text(max_size=50), st.decimals().map(str), st.floats().map(repr), st.from_regex(r"[0-9.eE+-]{1,40}")
    )
)
@example(text="1e5")
def test_only_plain_ascii_decimals_are_read_and_exactly(text: str) -> None:
    try:
        value = ORDER_FIELDS["quantity"].read(text)
    except ValueError:
        return
    assert text.isascii()
    assert set(text) <= set("+-.0123456789")
    assert value.is_finite()
    assert value == Decimal(text)
    assert Decimal(decimal_text(value) or "") == value


@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**11), max_value=10**11))
def test_a_decimal_survives_the_way_there_and_back(value: Decimal) -> None:
    text = decimal_text(value)
    assert text is not None
    assert "E" not in text
    assert text != "-0"
    assert Decimal(text) == value
    assert parse_object(f'{{"x": {text}}}'.encode())["x"] == value


@given(body=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_body_is_an_object_or_a_problem(body: bytes) -> None:
    try:
        found: Any = parse_object(body)
    except Problem as problem:
        found = problem.code.value
    assert isinstance(found, dict) or found == "MALFORMED_JSON"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.django_db
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(changes=st.dictionaries(st.sampled_from(sorted(ORDER_FIELDS)), JSON_VALUES, max_size=4))
def test_no_order_makes_the_platform_fail(trader: APIClient, changes: dict[str, Any]) -> None:
    answer = send(trader, json.dumps(order(**changes)))
    assert answer.status_code in {200, 201, 400, 409, 422}, answer.content
    assert not Order.objects.filter(status="pending").exclude(quantity__gt=0).exists()


def as_decimal(text: str) -> Decimal | None:
    """Return the number a text stands for, None when it stands for none."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
