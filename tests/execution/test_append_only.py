"""What happened is history: the database itself refuses to change or delete it, whoever asks."""

from datetime import date

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.db.models import Model

from execution.brokers.paper import PaperBroker
from execution.models import Account, RefusedReport
from execution.services.corporate_actions import apply_corporate_actions
from execution.services.dispatch import dispatch_once
from execution.services.reports import apply_reports
from execution.services.sessions import close_session
from marketdata import calendar
from marketdata.models import CorporateAction
from risk.models import BrokerFault
from risk.services import breaker
from risk.services.limits import set_limit
from tests.execution.brokers.paper_cases import tick
from tests.execution.cases import WALL_NOW, D, desk, filled_order
from tests.factories import make_account, make_instrument, make_order, make_quote

pytestmark = pytest.mark.django_db

GUARDED = (
    "execution.OrderEvent",
    "execution.Fill",
    "execution.CashEntry",
    "execution.PositionAdjustment",
    "execution.RefusedReport",
    "execution.AccountDay",
    "execution.StrategyDay",
    "execution.PaperReport",
    "risk.KillSwitchEvent",
    "risk.BreakerEvent",
    "risk.BrokerFault",
    "risk.LimitChange",
    "risk.Decision",
)


def model_of(label: str) -> type[Model]:
    return apps.get_model(label)


def full_book() -> None:
    """Leave at least one row in every guarded table."""
    account, broker = desk()
    order = filled_order(account, broker)
    broker.fill(order.client_order_id, "1")
    apply_reports(account=account, broker=broker, wall_now=WALL_NOW)
    assert RefusedReport.objects.exists()
    BrokerFault.objects.create(scope=account.scope, kind=BrokerFault.Kind.ERROR, code="timeout")
    instrument = make_instrument()
    CorporateAction.objects.create(
        instrument=instrument, ex_date=date(2012, 6, 15), kind="dividend", cash_amount=D(1), source="test"
    )
    apply_corporate_actions(account=account, day=date(2012, 6, 15), wall_now=WALL_NOW)
    account.feed.market_at = calendar.session_close(date(2012, 6, 14))
    account.feed.save()
    close_session(account=account, day=date(2012, 6, 14), wall_now=WALL_NOW)
    set_limit(name="max_names", value=D(3), operator="ann", reason="a test of history", now=WALL_NOW)
    breaker.trip(scope=account.scope, reason="a test of history", operator="ann", now=WALL_NOW)
    _fill_at_the_exchange(make_account())


def _fill_at_the_exchange(account: Account) -> None:
    broker = PaperBroker(account.name, starting_cash=account.starting_cash)
    make_instrument("IBM")
    make_quote(account.feed, "IBM")
    make_order(account, symbol="IBM")
    dispatch_once(account=account, broker=broker, wall_now=WALL_NOW)
    broker.advance([tick(symbol="IBM", minute=120)])


@pytest.mark.parametrize("label", GUARDED)
def test_no_row_is_changed_or_deleted(label: str) -> None:
    full_book()
    model = model_of(label)
    row = model._default_manager.order_by("pk").first()
    assert row is not None, "the test needs a row"
    table = connection.ops.quote_name(model._meta.db_table)
    for statement in (
        f"UPDATE {table} SET id = id WHERE id = {row.pk}",
        f"DELETE FROM {table} WHERE id = {row.pk}",
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        row.save()
    assert model._default_manager.filter(pk=row.pk).exists()


def test_every_table_of_history_is_guarded() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%append_only'")
        guarded = {row[0] for row in cursor.fetchall()}
    assert {model_of(label)._meta.db_table for label in GUARDED} <= guarded
