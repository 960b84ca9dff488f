"""The admin: everything is there, history cannot be touched, acts go through services, pages keep the CSP."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from itertools import count

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_q.models import Failure, OrmQ, Schedule, Success

from execution.models import (
    AccountDay,
    BrokerLink,
    BrokerMessage,
    CashEntry,
    Fill,
    Order,
    OrderEvent,
    Position,
    PositionAdjustment,
    RefusedReport,
    Strategy,
    StrategyDay,
)
from execution.states import OrderStatus
from marketdata.models import CorporateAction
from ops_console.models import ApiToken
from ops_console.services.roles import ensure_roles
from ops_console.services.tokens import create_token
from risk.models import (
    Alert,
    BreakerEvent,
    Decision,
    KillSwitchEvent,
    Limit,
    LimitChange,
    ReleaseRequest,
    RestrictedInstrument,
)
from risk.selectors import breaker_status, is_engaged, limit_book
from risk.services import breaker, kill_switch
from risk.services.limits import restrict_instrument, set_limit
from tests.factories import MARKET_AT, WALL_NOW, allow_bursts, make_account, make_instrument, make_order, make_strategy
from tests.ops_console.commands.terminal import make_user

pytestmark = pytest.mark.django_db
OURS = ("marketdata", "signals", "risk", "execution", "trading", "ops_console")
MODELS = [model for app in OURS for model in apps.get_app_config(app).get_models()]
READ_ONLY = [
    OrderEvent, Fill, CashEntry, Decision, KillSwitchEvent, BreakerEvent, LimitChange, AccountDay, StrategyDay,
    PositionAdjustment, RefusedReport, Position, Order, ReleaseRequest, ApiToken, LogEntry, Success, Failure,
    BrokerLink, BrokerMessage,
]  # fmt: skip
REASON = "because it has to be done"
BUDGET = 25
"""Queries of a page, eighteen of them for the frame, which says on every page how the desk is: alerts that wait and
deposits (by which the loss of the day is counted) are among them."""
numbers = count(1)


def client_of(role):
    client = Client()
    client.force_login(make_user(f"{role}-{next(numbers)}", role, is_staff=True))
    return client


@pytest.fixture
def officer():
    return client_of("risk_officer")


@pytest.fixture
def account():
    return make_account(name="paper")


def page_of(model, page="changelist", *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def choose(client, model, action, rows, **more):
    return client.post(page_of(model), {"action": action, "_selected_action": [row.pk for row in rows], **more})


def confirm(client, model, action, rows, **more):
    return choose(client, model, action, rows, confirmed="yes", **({"reason": REASON} | more))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_model_of_ours_is_there(model):
    assert admin.site.is_registered(model)


@pytest.mark.parametrize("model", [Schedule, OrmQ])
def test_what_names_a_callable_is_hidden(model):
    assert not admin.site.is_registered(model)


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model._meta.label)
def test_history_cannot_be_touched_even_by_a_superuser(model, rf):
    request = rf.get("/")
    request.user = make_user("root", is_superuser=True, is_staff=True)
    site = admin.site.get_model_admin(model)
    assert not site.has_add_permission(request)
    assert not site.has_change_permission(request)
    assert not site.has_delete_permission(request)
    assert "delete_selected" not in site.get_actions(request)


def fill_tables(account, instrument_count):
    """Put rows with different related rows into every ledger table."""
    for _ in range(instrument_count):
        number = next(numbers)
        instrument = make_instrument(f"T{number}")
        strategy = make_strategy(f"s{number}")
        action = CorporateAction.objects.create(
            instrument=instrument, kind="dividend", ex_date=date(2012, 6, 1), cash_amount=1, source="test"
        )
        decision = Decision.objects.create(
            account=account.name, strategy=strategy.name, symbol=instrument.symbol, outcome="accepted", case={},
            market_at=MARKET_AT,
        )  # fmt: skip
        order = Order.objects.create(
            decision=decision, account=account, strategy=strategy, instrument=instrument, client_order_id=f"c{number}",
            intent_key=f"k{number}", side="buy", quantity=10, order_type="market", time_in_force="day", origin="api",
            status="filled", filled_quantity=10, average_fill_price=1, reserve_price=1, loss_per_share=0,
            reference_price=1, trading_date=date(2012, 6, 14), market_at=MARKET_AT, closed_at=WALL_NOW,
        )  # fmt: skip
        OrderEvent.objects.create(
            order=order, sequence=1, from_status="", to_status="pending", source="gate", market_at=MARKET_AT
        )
        fill = Fill.objects.create(
            account=account, order=order, strategy=strategy, instrument=instrument, broker_execution_id=f"e{number}",
            side="buy", quantity=10, price=1, realized_pnl=0, trading_date=date(2012, 6, 14), executed_at=MARKET_AT,
        )  # fmt: skip
        CashEntry.objects.create(
            account=account, strategy=strategy, fill=fill, kind="trade", amount=-10, reference=f"e{number}",
            trading_date=date(2012, 6, 14), market_at=MARKET_AT,
        )  # fmt: skip
        position = Position.objects.create(
            account=account, strategy=strategy, instrument=instrument, quantity=10, cost_basis=10, current_price=1,
            current_price_at=MARKET_AT,
        )  # fmt: skip
        PositionAdjustment.objects.create(
            position=position, corporate_action=action, quantity_before=5, quantity_after=10,
            trading_date=date(2012, 6, 14),
        )  # fmt: skip
        RefusedReport.objects.create(account=account, sequence=number, reason="overfill", payload={})
        BrokerLink.objects.create(account=make_account(name=f"a{number}"))
        BrokerMessage.objects.create(
            account=make_account(), sequence=number, key=f"m{number}", source="stream", at=MARKET_AT, payload={}
        )
        money = dict.fromkeys(("realized_pnl", "unrealized_pnl", "fees", "pnl", "gross_exposure", "net_exposure"), 0)
        StrategyDay.objects.create(
            account=account, strategy=strategy, date=date(2012, 6, 14), closed_at=MARKET_AT, **money
        )
        AccountDay.objects.create(
            account=account, date=date(2000, 1, 1) + timedelta(days=number), closed_at=MARKET_AT, cash=1, equity=1,
            peak_equity=1, **money,
        )  # fmt: skip
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
        kill_switch.engage(scope=f"strategy:{strategy.name}", operator="alice", reason=REASON, source="command", now=at)
        kill_switch.request_release(scope=f"strategy:{strategy.name}", operator="alice", reason=REASON, now=at)
        breaker.trip(scope=f"account:a{number}", reason=REASON, operator="alice", now=at)
        set_limit(name="max_names", value=D(3), strategy=strategy.name, operator="alice", reason=REASON, now=at)
        restrict_instrument(instrument=instrument, operator="alice", reason=REASON, now=at)
        create_token(user=make_user(f"u{number}"), name="x", scope="read", now=at)


LISTED = [
    *[model for model in READ_ONLY if model not in (LogEntry, Success, Failure)],
    Limit, RestrictedInstrument, Strategy,
]  # fmt: skip


def test_no_list_asks_more_for_more_rows(account):
    root = Client()
    root.force_login(make_user("root", is_superuser=True, is_staff=True))
    asked = {}
    for rows in (2, 48):
        fill_tables(account, rows)
        for model in LISTED:
            with CaptureQueriesContext(connection) as queries:
                answer = root.get(page_of(model))
            assert answer.status_code == 200, model
            asked.setdefault(model._meta.label, []).append(len(queries))
    assert {label: counts for label, counts in asked.items() if counts[0] != counts[1] or counts[1] > BUDGET} == {}


INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\bsrc=)(?![^>]*application/json)", re.I)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_lists_hold_the_content_security_policy(model):
    root = Client()
    root.force_login(make_user("root", is_superuser=True, is_staff=True))
    answer = root.get(page_of(model))
    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert INLINE.findall(answer.text) == []


def test_pages_of_an_order_and_a_limit_hold_the_policy_and_show_the_history(account, officer):
    order = make_order(account)
    text = officer.get(page_of(Order, "change", order.pk)).text
    assert "the gate" in text
    assert INLINE.findall(text) == []
    text = officer.get(page_of(Limit, "add")).text
    assert INLINE.findall(text) == []
    assert officer.get(page_of(Strategy, "change", order.strategy_id)).status_code == 200


def test_cancel_asks_first_and_states_count_value_and_consequence(account, officer):
    allow_bursts()
    orders = [make_order(account, quantity=D(quantity)) for quantity in (10, 20)]
    text = choose(officer, Order, "cancel", orders).text
    assert "2 open orders over 3,000.00 are canceled" in text
    assert INLINE.findall(text) == []
    assert Order.objects.filter(status=OrderStatus.PENDING).count() == 2
    assert "This field is required" in confirm(officer, Order, "cancel", orders, reason="").text
    answer = confirm(officer, Order, "cancel", orders)
    assert answer.status_code == 302
    assert Order.objects.filter(status=OrderStatus.CANCELED).count() == 2
    assert OrderEvent.objects.filter(to_status="canceled").first().actor.startswith("risk_officer")
    assert LogEntry.objects.filter(change_message__contains=REASON).count() == 2


def test_cancel_of_all_rows_across_pages(account, officer):
    allow_bursts()
    orders = [make_order(account, quantity=D(quantity)) for quantity in (10, 20, 30)]
    text = choose(officer, Order, "cancel", orders[:1], select_across="1").text
    assert "3 open orders" in text
    confirm(officer, Order, "cancel", orders[:1], select_across="1")
    assert not Order.objects.filter(status=OrderStatus.PENDING).exists()


def test_stop_everything(account, officer):
    order = make_order(account)
    assert "Stop all trading" in officer.get(page_of(type(account))).text
    stop = reverse("admin:execution_account_stop")
    assert "1 open orders are canceled" in officer.get(stop).text
    assert not is_engaged("global")
    assert officer.post(stop, {"confirmed": "yes", "reason": "short"}).status_code == 200
    assert not is_engaged("global")
    answer = officer.post(stop, {"confirmed": "yes", "reason": REASON}, follow=True)
    assert "Global engaged: 1 orders canceled before they were sent" in answer.text
    order.refresh_from_db()
    assert (is_engaged("global"), order.status) == (True, OrderStatus.CANCELED)


def test_stop_an_account_and_a_strategy(account, officer):
    confirm(officer, type(account), "engage", [account])
    confirm(officer, Strategy, "engage", [Strategy.objects.get(name="manual")])
    assert is_engaged("account:paper")
    assert is_engaged("strategy:manual")
    assert not is_engaged("global")


def test_trip_and_reset_a_breaker(account, officer):
    text = choose(officer, type(account), "trip", [account]).text
    assert "Only orders that reduce a position pass" in text
    confirm(officer, type(account), "trip", [account])
    assert breaker_status("account:paper", WALL_NOW).state == "tripped"
    confirm(officer, type(account), "reset", [account])
    assert breaker_status("account:paper", WALL_NOW).state == "quiet_period"
    answer = officer.post(
        page_of(type(account)),
        {"action": "reset", "_selected_action": [account.pk], "confirmed": "yes", "reason": REASON},
        follow=True,
    )
    assert "only a tripped one can be reset" in answer.text


def test_a_release_takes_two_people_here_too(account, officer):
    confirm(officer, type(account), "engage", [account])
    event = KillSwitchEvent.objects.get(scope="account:paper")
    confirm(officer, KillSwitchEvent, "ask_for_release", [event])
    request = ReleaseRequest.objects.get()
    answer = officer.post(
        page_of(ReleaseRequest),
        {"action": "approve", "_selected_action": [request.pk], "confirmed": "yes"},
        follow=True,
    )
    assert "two different operators" in answer.text
    assert is_engaged("account:paper")
    other = client_of("risk_officer")
    assert "Orders pass the gate again" in choose(other, ReleaseRequest, "approve", [request]).text
    confirm(other, ReleaseRequest, "approve", [request])
    assert not is_engaged("account:paper")


def test_turning_a_release_down(account, officer):
    confirm(officer, type(account), "engage", [account])
    confirm(officer, KillSwitchEvent, "ask_for_release", [KillSwitchEvent.objects.get(scope="account:paper")])
    confirm(officer, ReleaseRequest, "reject", [ReleaseRequest.objects.get()])
    assert ReleaseRequest.objects.get().state == "rejected"


def in_force():
    return limit_book().resolve(strategy="", symbol="").strategy.max_names


def test_a_limit_changes_through_the_service_with_before_and_after(officer):
    fields = {"name": "max_names", "strategy": "", "symbol": "", "value": "30", "reason": REASON}
    answer = officer.post(page_of(Limit, "add"), fields, follow=True)
    assert "max_names (*, *): default → 30" in answer.text
    limit = Limit.objects.get()
    assert "30 names" in officer.get(page_of(Limit, "change", limit.pk)).text
    answer = officer.post(page_of(Limit, "change", limit.pk), {"value": "25", "reason": REASON}, follow=True)
    assert "max_names (*, *): 30 → 25" in answer.text
    change = LimitChange.objects.first()
    assert (change.old_value, change.new_value, change.reason) == (30, 25, REASON)
    assert change.operator.startswith("risk_officer")
    assert in_force() == 25
    assert LogEntry.objects.filter(change_message__contains=REASON).count() == 2


@pytest.mark.parametrize(
    ("value", "reason", "complaint"),
    [
        ("101", REASON, "allowed is 0 to 100 %"),
        ("-1", REASON, "allowed is 0 to 100 %"),
        ("NaN", REASON, "Enter a number"),
        ("5", "short", "at least 10 characters"),
        ("5", "", "This field is required"),
    ],
)
def test_a_bad_limit_is_refused_beside_its_field(officer, value, reason, complaint):
    fields = {"name": "daily_loss_pct", "strategy": "", "symbol": "", "value": value, "reason": reason}
    assert complaint in officer.post(page_of(Limit, "add"), fields).text
    assert not LimitChange.objects.exists()


def test_back_to_the_default(officer):
    set_limit(name="max_names", value=D(30), operator="alice", reason=REASON, now=WALL_NOW)
    limit = Limit.objects.get()
    assert "max_names * * = 30: back to 20" in choose(officer, Limit, "back_to_default", [limit]).text
    confirm(officer, Limit, "back_to_default", [limit])
    assert (Limit.objects.exists(), in_force()) == (False, 20)
    assert LimitChange.objects.first().new_value is None


def test_restrict_and_lift(officer):
    instrument = make_instrument()
    officer.post(page_of(RestrictedInstrument, "add"), {"instrument": instrument.pk, "reason": REASON})
    row = RestrictedInstrument.objects.get()
    assert row.operator.startswith("risk_officer")
    confirm(officer, RestrictedInstrument, "lift", [row])
    row.refresh_from_db()
    assert row.lifted_by.startswith("risk_officer")


def test_a_key_is_revoked_by_the_admin_role_only(officer):
    token = create_token(user=make_user("robot", "trader"), name="x", scope="read", now=WALL_NOW).token
    confirm(officer, ApiToken, "revoke", [token])
    token.refresh_from_db()
    assert token.revoked_at is None
    confirm(client_of("admin"), ApiToken, "revoke", [token])
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_what_becomes_of_orders_of_others_is_set_with_a_reason(officer, account):
    confirm(officer, type(account), "adopt_strangers", [account])
    account.refresh_from_db()
    assert account.strangers == "adopt"
    confirm(officer, type(account), "quarantine_strangers", [account])
    account.refresh_from_db()
    assert account.strangers == "quarantine"
    alert = Alert.objects.get(code="strangers_policy_set")
    assert alert.detail["reason"] == REASON
    confirm(client_of("trader"), type(account), "adopt_strangers", [account])
    account.refresh_from_db()
    assert account.strangers == "quarantine"


RISK_ACTS = {
    "cancel",
    "engage",
    "trip",
    "reset",
    "ask_for_release",
    "back_to_default",
    "lift",
    "adopt_strangers",
    "quarantine_strangers",
}


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", set()),
        ("trader", {"cancel", "engage", "trip"}),
        ("risk_officer", RISK_ACTS),
        ("admin", RISK_ACTS),
    ],
)
def test_each_role_sees_its_acts_and_no_others(account, rf, role, may):
    request = rf.get("/")
    request.user = make_user("somebody", role, is_staff=True)
    seen = set()
    for model in (Order, type(account), KillSwitchEvent, Limit, RestrictedInstrument):
        seen |= set(admin.site.get_model_admin(model).get_actions(request))
    assert seen == may


@pytest.mark.parametrize("role", ["viewer", "trader"])
def test_limits_and_restrictions_are_read_only_for_those_below(role):
    client = client_of(role)
    for model in (Limit, RestrictedInstrument):
        assert client.get(page_of(model)).status_code == 200
        assert client.get(page_of(model, "add")).status_code == 403


def test_a_viewer_cannot_stop_trading(account):
    client = client_of("viewer")
    stop = reverse("admin:execution_account_stop")
    assert client.post(stop, {"confirmed": "yes", "reason": REASON}).status_code == 403
    assert "Stop all trading" not in client.get(page_of(type(account))).text
    assert not is_engaged("global")


def test_roles_are_made_once():
    assert ensure_roles() == ensure_roles()
    assert Group.objects.count() == 4


def test_asking_for_a_release_asks_why_and_tells_what_is_off_already(account, officer):
    confirm(officer, type(account), "engage", [account])
    event = KillSwitchEvent.objects.get(scope="account:paper")
    assert "Another operator has to approve" in choose(officer, KillSwitchEvent, "ask_for_release", [event]).text
    assert not ReleaseRequest.objects.exists()
    installed = KillSwitchEvent.objects.get(scope="global")
    answer = officer.post(
        page_of(KillSwitchEvent),
        {"action": "ask_for_release", "_selected_action": [installed.pk], "confirmed": "yes", "reason": REASON},
        follow=True,
    )
    assert "the kill switch is off" in answer.text
