"""The pages of orders that are worked in slices."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from execution.models import Account, ParentOrder
from execution.services.slices import cancel_parent, create_parent, work_parents
from marketdata.services.feeds import set_market_time
from tests.execution.slicing.desk import wish
from tests.factories import WALL_NOW, make_quote
from tests.ops_console.conftest import Visitor


def made(desk: Account, name: str = "mine") -> ParentOrder:
    parent = create_parent(wish=wish(client_order_id=name), account=desk, wall_now=WALL_NOW).parent
    assert parent is not None
    return parent


def with_a_slice_sent(desk: Account) -> ParentOrder:
    parent = made(desk)
    due = parent.slices.order_by("due_at")[0].due_at
    set_market_time(feed=desk.feed, at=due)
    make_quote(desk.feed, at=due)
    assert work_parents(account=Account.objects.select_related("feed").get(pk=desk.pk), now=lambda: WALL_NOW) == 1
    return parent


def test_the_list_shows_what_is_live_and_its_progress(desk: Account, visitor: Visitor) -> None:
    with_a_slice_sent(desk)
    cancel_parent(parent=made(desk, "other"), operator="ann", wall_now=WALL_NOW)
    html = visitor("viewer").get(reverse("slices")).content.decode()
    assert "0% filled" in html
    assert html.count('data-tone="working">active') == 1
    assert "canceled</span>" not in html
    assert "canceled</span>" in visitor("viewer").get(reverse("slices") + "?status=all").content.decode()


def test_an_empty_list_says_how_to_place_one(desk: Account, visitor: Visitor) -> None:
    assert "Nothing is worked in slices" in visitor("viewer").get(reverse("slices")).content.decode()


def test_one_shows_its_plan_its_orders_and_what_happened(desk: Account, visitor: Visitor) -> None:
    parent = with_a_slice_sent(desk)
    html = visitor("trader").get(reverse("parent", args=[parent.pk])).content.decode()
    order = parent.children.get()
    assert reverse("order", args=[order.pk]) in html
    assert "assumed: U shape" in html
    assert "Slice sent" in html
    assert reverse("parent-pause", args=[parent.pk]) in html
    assert (
        reverse("parent", args=[parent.pk]) in visitor("viewer").get(reverse("order", args=[order.pk])).content.decode()
    )


def test_pause_resume_and_cancel_are_for_traders(desk: Account, visitor: Visitor) -> None:
    parent = with_a_slice_sent(desk)
    for name in ("parent-pause", "parent-resume", "parent-cancel"):
        assert visitor("viewer").post(reverse(name, args=[parent.pk])).status_code == 403
    trader = visitor("trader")
    for name, status in (("parent-pause", "paused"), ("parent-resume", "active"), ("parent-cancel", "canceled")):
        assert trader.post(reverse(name, args=[parent.pk])).status_code == 302
        parent.refresh_from_db()
        assert parent.status == status
    assert "asked for in the console by trader" in parent.reason
    answer = trader.post(reverse("parent-cancel", args=[parent.pk]), headers={"HX-Request": "true"})
    assert answer.status_code == 409


def test_a_long_list_costs_no_more_queries(
    desk: Account, visitor: Visitor, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = visitor("viewer")
    for number in range(3):
        made(desk, f"p{number}")
    with django_assert_max_num_queries(40) as few:
        client.get(reverse("slices"))
    for number in range(3, 9):
        made(desk, f"p{number}")
    with django_assert_max_num_queries(len(few)):
        client.get(reverse("slices"))


def test_forms_need_their_token(desk: Account, visitor: Visitor) -> None:
    parent = made(desk)
    client = visitor("trader")
    client.handler.enforce_csrf_checks = True
    assert client.post(reverse("parent-pause", args=[parent.pk])).status_code == 403
    parent.refresh_from_db()
    assert parent.status == "active"


@pytest.mark.django_db
def test_nobody_logged_in_sees_nothing(client: Client) -> None:
    assert client.get(reverse("slices")).status_code == 302
