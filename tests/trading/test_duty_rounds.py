"""The clock's duties: each in its time, and the failure of one spares the others."""

from datetime import datetime, timedelta

import pytest
from django.db import OperationalError
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled

from execution.models import Account
from risk.models import Alert
from tests.factories import WALL_NOW, make_account
from trading.duties import DUTIES, Duty
from trading.services.duty_rounds import DutyRounds

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


class Work:
    """Counts how often it was performed, and fails when told."""

    def __init__(self) -> None:
        self.at: list[datetime] = []
        self.failure: Exception | None = None

    def __call__(self, account: Account, wall_now: datetime) -> None:
        self.at.append(wall_now)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def account() -> Account:
    return make_account()


def test_each_is_performed_at_most_once_in_its_time(account: Account) -> None:
    often, seldom = Work(), Work()
    rounds = DutyRounds([Duty("often", SECOND, often), Duty("seldom", 3 * SECOND, seldom)])
    for number in range(7):
        rounds.perform(account, WALL_NOW + number * SECOND)
    assert (len(often.at), len(seldom.at)) == (7, 3)


def test_a_failure_is_told_spares_the_others_and_is_over_when_it_is(account: Account) -> None:
    broken, other = Work(), Work()
    broken.failure = ZeroDivisionError("no price")
    rounds = DutyRounds([Duty("broken", SECOND, broken), Duty("other", SECOND, other)])
    rounds.perform(account, WALL_NOW)
    rounds.perform(account, WALL_NOW + SECOND)
    alert = Alert.objects.get(code="clock_duty_failed", subject="broken")
    assert (alert.count, alert.severity, len(other.at)) == (2, "critical", 2)
    assert "ZeroDivisionError: no price" in alert.message
    assert rounds.failing == {"broken": "ZeroDivisionError: no price"}
    broken.failure = None
    rounds.perform(account, WALL_NOW + 2 * SECOND)
    alert.refresh_from_db()
    assert (alert.state, rounds.failing) == ("resolved", {})


def test_a_database_that_is_away_ends_the_round(account: Account) -> None:
    away, other = Work(), Work()
    away.failure = OperationalError("gone")
    rounds = DutyRounds([Duty("away", SECOND, away), Duty("other", SECOND, other)])
    with pytest.raises(OperationalError):
        rounds.perform(account, WALL_NOW)
    assert not other.at


@pytest.mark.parametrize("cause", [DeadlockDetected, LockNotAvailable, QueryCanceled])
def test_a_deadlock_of_one_duty_spares_the_others(account: Account, cause: type[Exception]) -> None:
    stuck, other = Work(), Work()
    stuck.failure = OperationalError("it was in the way")
    stuck.failure.__cause__ = cause("it was in the way")
    DutyRounds([Duty("stuck", SECOND, stuck), Duty("other", SECOND, other)]).perform(account, WALL_NOW)
    assert other.at == [WALL_NOW]
    assert Alert.objects.get(code="clock_duty_failed").subject == "stuck"


def test_what_an_earlier_clock_told_is_resolved_by_the_next(account: Account) -> None:
    work = Work()
    work.failure = ZeroDivisionError("no price")
    DutyRounds([Duty("work", SECOND, work)]).perform(account, WALL_NOW)
    work.failure = None
    DutyRounds([Duty("work", SECOND, work)]).perform(account, WALL_NOW + SECOND)
    assert Alert.objects.get().state == "resolved"


def test_a_clock_that_was_put_back_keeps_nothing_waiting(account: Account) -> None:
    work = Work()
    rounds = DutyRounds([Duty("work", 10 * SECOND, work)])
    rounds.perform(account, WALL_NOW)
    rounds.perform(account, WALL_NOW - timedelta(hours=1))
    assert len(work.at) == 2


def test_duties_have_names_of_their_own() -> None:
    assert len({duty.name for duty in DUTIES}) == len(DUTIES)
