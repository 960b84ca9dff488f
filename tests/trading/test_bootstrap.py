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
    names = ("alpha_baseline", "ensemble", "mean_reversion", "momentum")
    assert dict(scheduled) == dict.fromkeys(names, Decimal("0.25"))
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


def test_strategy_that_is_new_to_an_installation_waits_for_a_share() -> None:
    bootstrap(wall_now=WALL_NOW)
    Strategy.objects.filter(name="ensemble").delete()
    bootstrap(wall_now=WALL_NOW)
    late = Strategy.objects.get(name="ensemble")
    assert (late.scheduled, late.capital_share) == (False, 0)
    assert sum(Strategy.objects.filter(scheduled=True).values_list("capital_share", flat=True)) == Decimal("0.75")
