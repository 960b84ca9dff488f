"""A preview says what the gate would say, and leaves no trace."""

import pytest

from execution.models import Account, Order, OrderEvent, Position
from execution.services.orders import preview_orders
from risk.models import Decision
from risk.types import OrderIntent
from tests.execution.cases import WALL_NOW, D
from tests.factories import allow_bursts, make_account, make_intent, submit

pytestmark = pytest.mark.django_db


def preview(account: Account, *intents: OrderIntent) -> list[list[str]]:
    judged = preview_orders(intents=intents, account=account, wall_now=WALL_NOW)
    return [[denial.code.value for denial in one.denials] for one in judged]


def test_nothing_is_stored_and_nothing_reserved() -> None:
    account = make_account()
    assert preview(account, make_intent(), make_intent(quantity=D("NaN"))) == [[], ["INVALID_QUANTITY"]]
    assert [model.objects.count() for model in (Order, OrderEvent, Decision, Position)] == [0, 0, 0, 0]
    account.refresh_from_db()
    assert account.rate_window_count == 0


@pytest.mark.parametrize(
    "fields", [{}, {"quantity": D(1001)}, {"symbol": "NONE"}, {"reduce_only": True}, {"limit_price": D(5)}], ids=str
)
def test_it_says_what_the_gate_says(fields: dict[str, object]) -> None:
    account = make_account()
    said = preview(account, make_intent(**fields))[0]
    assert said == [denial.code.value for denial in submit(account, **fields).denials]


def test_each_intent_sees_the_ones_before_it() -> None:
    account = make_account()
    allow_bursts()
    intents = [make_intent(quantity=D(600), client_order_id=name) for name in ("a", "b")]
    first, second = preview(account, *intents)
    assert first == []
    assert "POSITION_LIMIT" in second


def test_a_wish_that_is_an_order_already_is_named() -> None:
    account = make_account()
    order = submit(account).order
    assert order is not None
    (judged,) = preview_orders(intents=[make_intent()], account=account, wall_now=WALL_NOW)
    assert judged.existing == order.pk


def test_no_intents_no_answers() -> None:
    assert preview_orders(intents=[], account=make_account(), wall_now=WALL_NOW) == []


def test_it_tells_at_which_price_the_order_would_be_reserved() -> None:
    (judged,) = preview_orders(intents=[make_intent()], account=make_account(), wall_now=WALL_NOW)
    assert judged.case is not None
    assert (judged.case.reserve_price, judged.case.notional) == (100, 1000)
