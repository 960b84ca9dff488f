"""Pages: who may see them, what they say, what they must never leave out."""

import re
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from execution.models import Account, Order
from execution.services.halt import engage_kill_switch
from marketdata.clock import wall_now
from risk.services import breaker
from risk.services.alerts import raise_alert
from risk.types import OrderType, Side
from tests.factories import make_account, make_order, submit
from tests.ops_console.conftest import Visitor

PAGES = [
    "overview",
    "orders",
    "positions",
    "runs",
    "risk",
    "reconciliation",
    "alerts",
    "data",
    "sql",
    "backtests",
    "jobs",
    "models",
    "admin:index",
    "admin:execution_order_changelist",
]
ROLES = ["viewer", "trader", "risk_officer", "admin"]
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)
MOST_QUERIES = 45


@pytest.mark.parametrize("page", PAGES)
def test_every_page_carries_mode_account_and_kill_switch(desk: Account, visitor: Visitor, page: str) -> None:
    html = visitor("admin").get(reverse(page)).content.decode()
    assert 'data-mode="paper"' in html
    assert 'class="mode-word">Paper<' in html
    assert "account paper" in html
    assert 'data-live="kill.state"' in html
    assert 'data-dialog="kill-dialog"' in html


@pytest.mark.parametrize("page", [*PAGES, "login"])
def test_no_page_has_inline_code_or_style(desk: Account, visitor: Visitor, page: str) -> None:
    make_order(desk)
    response = (Client() if page == "login" else visitor("admin")).get(reverse(page))
    assert response.status_code == 200
    assert not INLINE.findall(response.content.decode())


@pytest.mark.parametrize("page", [*PAGES, "login"])
def test_every_page_has_the_content_security_policy(desk: Account, visitor: Visitor, page: str) -> None:
    header = (Client() if page == "login" else visitor("admin")).get(reverse(page)).headers["Content-Security-Policy"]
    wanted = {
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "object-src 'none'",
    }
    assert {part.strip() for part in header.split(";")} == wanted


@pytest.mark.parametrize("page", PAGES[:6])
def test_without_a_log_in_a_page_leads_there_and_back(desk: Account, page: str) -> None:
    response = Client().get(reverse(page))
    assert response.status_code == 302
    assert response.headers["Location"] == f"/login?next={reverse(page)}"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("page", PAGES[:6])
def test_every_role_may_read(desk: Account, visitor: Visitor, role: str, page: str) -> None:
    assert visitor(role).get(reverse(page)).status_code == 200


def test_somebody_without_a_role_reads_nothing(desk: Account, visitor: Visitor) -> None:
    response = visitor("nobody").get("/")
    assert response.status_code == 403
    assert "role" in response.content.decode()


@pytest.mark.parametrize("page", PAGES[:6])
def test_pages_stand_without_any_data(visitor: Visitor, page: str) -> None:
    html = visitor("viewer").get(reverse(page)).content.decode()
    assert 'data-kill="on"' in html  # nothing is stored, and nothing stored means engaged
    assert 'class="none"' in html


@pytest.mark.parametrize("page", PAGES[:6])
def test_pages_ask_the_database_a_bounded_number_of_times(desk: Account, visitor: Visitor, page: str) -> None:
    client = visitor("viewer")
    client.get(reverse(page))
    counts = []
    for orders in (1, 6):
        for number in range(orders):
            make_order(desk, quantity=D(number + 1), client_order_id=f"{orders}-{number}")
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse(page))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= MOST_QUERIES


def test_the_mode_word_and_colour_follow_the_mode(visitor: Visitor, settings: Settings) -> None:
    settings.TRADING_MODE = "alpaca_live"
    html = visitor("viewer").get("/").content.decode()
    assert 'data-mode="alpaca_live"' in html
    assert 'class="mode-word">Live<' in html


def test_an_engaged_switch_says_who_when_and_why_everywhere(desk: Account, visitor: Visitor) -> None:
    engage_kill_switch(
        scope="global", operator="ann", reason="prices look wrong", source="console", wall_now=wall_now()
    )
    for page in PAGES:
        html = visitor("admin").get(reverse(page)).content.decode()
        assert 'data-kill="on"' in html
        assert "Kill switch ON" in html
        assert "ann" in html
        assert "prices look wrong" in html


def test_a_tripped_breaker_is_reduce_only_and_not_halted(desk: Account, visitor: Visitor) -> None:
    breaker.trip(scope=desk.scope, reason="too much in one day", operator="ann", now=wall_now())
    html = visitor("viewer").get("/").content.decode()
    assert "Reduce only" in html
    assert 'data-kill="off"' in html
    assert "The breaker is tripped" in html


def test_the_risk_page_shows_each_cause_and_what_would_trip_again(desk: Account, visitor: Visitor) -> None:
    breaker.trip(scope=desk.scope, reason="too much in one day", operator="ann", now=wall_now())
    html = visitor("viewer").get("/risk/").content.decode()
    assert "Lost since the last close" in html
    assert "nobody has looked yet" in html
    assert "A reset would not last" not in html
    Account.objects.filter(pk=desk.pk).update(reconciliation="broken")
    html = visitor("viewer").get("/risk/").content.decode()
    assert "A reset would not last" in html
    assert "Book against the broker&#x27;s: they differ" in html


def test_the_overview_names_what_is_silent(desk: Account, visitor: Visitor) -> None:
    html = visitor("viewer").get("/").content.decode()
    assert "Orders are not being sent" in html
    assert 'data-light="light.dispatcher" data-tone="unknown"' in html


def test_the_blotter_is_filtered_by_its_address(desk: Account, visitor: Visitor) -> None:
    make_order(desk, quantity=D(11))
    submit(desk, quantity=D(1_000_000), client_order_id="refused-1")
    client = visitor("viewer")
    assert len(client.get("/orders/").context["page"].object_list) == 2
    refused = client.get("/orders/?status=refused").context["page"].object_list
    assert [order.status for order in refused] == ["denied"]
    assert len(client.get("/orders/?status=open&symbol=aapl&strategy=manual&day=2012-06-14").context["page"]) == 1
    assert len(client.get("/orders/?q=refused-1").context["page"]) == 1
    assert len(client.get("/orders/?day=never").context["page"]) == 0
    assert client.get("/orders/?account=none").status_code == 404


def test_the_blotter_has_pages(desk: Account, visitor: Visitor) -> None:
    for number in range(53):
        make_order(desk, quantity=D(1), client_order_id=f"order-{number}")
    client = visitor("viewer")
    assert "1 to 50 of 53" in client.get("/orders/").content.decode()
    assert len(client.get("/orders/?page=2").context["page"]) == 3
    assert len(client.get("/orders/?page=999").context["page"]) == 3


def test_an_order_is_explained(desk: Account, visitor: Visitor) -> None:
    order = make_order(desk, order_type=OrderType.LIMIT, limit_price=D("99.5"))
    html = visitor("viewer").get(reverse("order", args=[order.pk])).content.decode()
    assert order.client_order_id in html
    assert "pending (stored, not sent)" in html
    assert "Fat finger: value of one order" in html
    assert "995.00" in html


def test_a_denied_order_names_rule_limit_and_value(desk: Account, visitor: Visitor) -> None:
    result = submit(desk, quantity=D(100_001))
    assert result.order is not None
    html = visitor("viewer").get(reverse("order", args=[result.order.pk])).content.decode()
    assert "FAT_FINGER_QUANTITY" in html
    assert "100001" in html


def test_the_equity_curve_is_data(desk: Account, visitor: Visitor) -> None:
    body = visitor("viewer").get(reverse("equity-curve")).json()
    assert body == {"start": "100000.00", "points": []}


def test_symbols_are_escaped(desk: Account, visitor: Visitor) -> None:
    html = visitor("viewer").get("/orders/", {"q": '"><script>alert(1)</script>'}).content.decode()
    assert "<script>alert" not in html


def test_theme_and_density_come_from_the_cookie_and_nothing_else_does(desk: Account, visitor: Visitor) -> None:
    client = visitor("viewer")
    client.cookies["theme"], client.cookies["density"] = "light", "enormous"
    html = client.get("/").content.decode()
    assert 'data-theme="light"' in html
    assert 'data-density="dense"' in html


def test_other_accounts_are_shown_by_name(desk: Account, visitor: Visitor) -> None:
    other = make_account(name="paper-run-1", kind=Account.Kind.REPLAY)
    make_order(other, side=Side.SELL, quantity=D(7))
    client = visitor("viewer")
    assert [order.quantity for order in client.get("/orders/?account=paper-run-1").context["page"]] == [D(7)]
    assert client.get("/positions/?account=paper-run-1").status_code == 200
    assert Order.objects.filter(account=desk).count() == 0


def test_an_address_that_is_none_says_where_to_go(desk: Account, visitor: Visitor) -> None:
    response = visitor("viewer").get("/orders/999999")
    assert response.status_code == 404
    assert "Overview" in response.content.decode()


def test_alerts_are_listed_until_seen_and_acknowledged_by_name(desk: Account, visitor: Visitor) -> None:
    alert = raise_alert(
        code="position_differs", subject="symbol:AAPL", severity="critical", message="1 here, 2 there", now=wall_now()
    )
    trader = visitor("trader")
    assert all(b"1 here, 2 there" in trader.get(page).content for page in ("/", "/alerts/"))
    assert visitor("viewer").post(f"/alerts/{alert.pk}/acknowledge").status_code == 403
    trader.post(f"/alerts/{alert.pk}/acknowledge")
    alert.refresh_from_db()
    assert (alert.state, alert.acknowledged_by) == ("acknowledged", "trader")
    trader.get("/alerts/")  # the message of the act is shown once
    assert b"1 here, 2 there" not in trader.get("/").content
    assert b"1 here" not in trader.get("/alerts/?state=resolved").content
