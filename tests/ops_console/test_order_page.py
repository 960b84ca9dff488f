"""The page of one order: what the broker makes of it."""

from decimal import Decimal as D
from typing import Any

import pytest
from django.urls import reverse

from execution.alpaca_wire.conversions import converted_stop_limit
from execution.models import Account
from tests.factories import allow_bursts, make_account, make_order
from tests.ops_console.conftest import Visitor

ADDED = "the broker adds this limit to a buy stop"


@pytest.mark.parametrize(
    ("mode", "fields", "limit"),
    [
        ("alpaca_paper", {"order_type": "stop", "stop_price": D(101)}, "103.53"),
        ("alpaca_live", {"order_type": "stop", "stop_price": D("100.5")}, "103.02"),
        ("paper", {"order_type": "stop", "stop_price": D(101)}, ""),
        ("alpaca_paper", {"order_type": "stop_limit", "stop_price": D(101), "limit_price": D(102)}, ""),
        ("alpaca_paper", {"order_type": "stop", "stop_price": D(99), "side": "sell"}, ""),
        ("alpaca_paper", {"order_type": "limit", "limit_price": D(99)}, ""),
    ],
)
def test_a_buy_stop_shows_the_limit_that_the_broker_adds(
    visitor: Visitor, mode: str, fields: dict[str, Any], limit: str
) -> None:
    allow_bursts()
    account = make_account(mode=mode)
    Account.objects.update(reconciliation=Account.Reconciliation.CLEAN)
    order = make_order(account, **fields)
    html = visitor("viewer").get(reverse("order", args=[order.pk])).content.decode()
    assert (ADDED in html) is bool(limit)
    assert f"stop limit {limit} <" in html or not limit


@pytest.mark.parametrize(("stop", "limit"), [("49.99", "51.99"), ("50", "51.25"), ("0.5", "0.52"), ("10.01", "10.42")])
def test_the_added_limit_is_four_percent_below_fifty_dollars_and_two_and_a_half_from_there(
    stop: str, limit: str
) -> None:
    assert converted_stop_limit(D(stop)) == D(limit)
