"""A new installation may trade; one that lost its state may not."""

from decimal import Decimal

import pytest

from execution.models import Account, Strategy
from execution.services.accounts import open_account
from risk.models import KillSwitchEvent
from risk.selectors import breaker_status, is_engaged
from risk.states import BreakerState
from tests.factories import WALL_NOW, make_feed
from trading.services.bootstrap import bootstrap

pytestmark = pytest.mark.django_db


def test_new_installation_may_trade() -> None:
    account = bootstrap(wall_now=WALL_NOW)
    assert (account.name, account.kind, account.cash) == ("paper", Account.Kind.DESK, Decimal(100_000))
    assert not is_engaged("global")
    assert breaker_status(account.scope, WALL_NOW).state == BreakerState.OPEN
    scheduled = Strategy.objects.filter(scheduled=True).values_list("name", "capital_share")
    assert dict(scheduled) == {"mean_reversion": Decimal("0.5"), "momentum": Decimal("0.5")}
    assert set(Strategy.objects.filter(scheduled=False).values_list("name", flat=True)) == {"manual", "EXTERNAL"}


def test_again_changes_nothing() -> None:
    first = bootstrap(wall_now=WALL_NOW)
    assert bootstrap(wall_now=WALL_NOW).pk == first.pk
    assert KillSwitchEvent.objects.count() == 1
    assert Account.objects.count() == 1


def test_lost_kill_switch_of_a_used_database_stays_engaged() -> None:
    open_account(name="old", mode="paper", kind="desk", feed=make_feed(), starting_cash=Decimal(1), wall_now=WALL_NOW)
    bootstrap(wall_now=WALL_NOW)
    assert not KillSwitchEvent.objects.exists()
    assert is_engaged("global")
