"""What is due, at each moment of a day."""

from datetime import UTC, date, datetime, timedelta

import pytest

from execution.models import Account, AccountDay, Strategy
from execution.services.accounts import ensure_strategy, open_account
from execution.services.sessions import close_session
from marketdata import calendar
from marketdata.models import Feed
from marketdata.types import FeedKind
from tests.factories import CASH, WALL_NOW
from trading.models import FeedProgress, Run
from trading.services.runs import skip_run
from trading.services.schedule import Due, due_work
from trading.states import RunState

DAY, BEFORE = date(2012, 1, 4), date(2012, 1, 3)
OPEN = calendar.session_open(DAY)


@pytest.fixture
def account(db: None) -> Account:
    for name in ("mean_reversion", "momentum"):
        ensure_strategy(name=name, scheduled=True)
    ensure_strategy(name="manual")
    feed = Feed.objects.create(name="real", kind=FeedKind.REAL)
    opened = open_account(
        name="paper", mode="paper", kind="desk", feed=feed, starting_cash=CASH, wall_now=OPEN - timedelta(hours=10)
    )
    AccountDay.objects.all().delete()
    return opened


def due(account: Account, at: datetime) -> list[str]:
    return [f"{item.task} {item.arguments[1:]}" for item in due_work(account=account, wall_now=at)]


BOTH_RUNS = ["run_daily ('mean_reversion', '2012-01-04')", "run_daily ('momentum', '2012-01-04')"]
BOTH_MISSED = ["skip_daily ('mean_reversion', '2012-01-04')", "skip_daily ('momentum', '2012-01-04')"]


@pytest.mark.parametrize(
    ("minutes_from_open", "expected"),
    [(-120, []), (-26, []), (-25, BOTH_RUNS), (-3, BOTH_RUNS), (-2, BOTH_MISSED), (200, BOTH_MISSED)],
)
def test_runs_are_due_from_0905_until_the_cut_off(
    account: Account, minutes_from_open: int, expected: list[str]
) -> None:
    assert due(account, OPEN + timedelta(minutes=minutes_from_open)) == expected


def test_nothing_is_due_on_a_holiday(account: Account) -> None:
    close_session(account=account, day=date(2012, 1, 13), wall_now=WALL_NOW)
    assert due(account, datetime(2012, 1, 16, 14, 10, tzinfo=UTC)) == []


def test_disabled_strategy_is_left_out(account: Account) -> None:
    Strategy.objects.filter(name="momentum").update(enabled=False)
    assert due(account, OPEN - timedelta(minutes=20)) == BOTH_RUNS[:1]


@pytest.mark.parametrize(
    ("state", "attempts", "in_time", "late"),
    [
        (RunState.PENDING, 1, True, True),
        (RunState.RUNNING, 1, True, True),
        (RunState.FAILED, 1, True, False),
        (RunState.FAILED, 3, False, False),
        (RunState.AWAITING_FILLS, 1, False, False),
        (RunState.SKIPPED, 1, False, False),
    ],
)
def test_run_that_was_begun_is_gone_on_with(
    account: Account, state: RunState, attempts: int, in_time: bool, late: bool
) -> None:
    Strategy.objects.filter(name="momentum").update(scheduled=False)
    run = skip_run(
        account=account,
        strategy=Strategy.objects.get(name="mean_reversion"),
        trading_date=DAY,
        reason="made for the test",
        wall_now=WALL_NOW,
    )
    over = state in (RunState.FAILED, RunState.SKIPPED)
    Run.objects.filter(pk=run.pk).update(state=state, attempts=attempts, finished_at=WALL_NOW if over else None)
    assert due(account, OPEN - timedelta(minutes=20)) == (BOTH_RUNS[:1] if in_time else [])
    assert due(account, OPEN + timedelta(minutes=20)) == (BOTH_RUNS[:1] if late else [])


def test_books_are_closed_first_and_reports_follow(account: Account) -> None:
    run = skip_run(
        account=account,
        strategy=Strategy.objects.get(name="momentum"),
        trading_date=DAY,
        reason="made for the test",
        wall_now=WALL_NOW,
    )
    Run.objects.filter(pk=run.pk).update(state=RunState.AWAITING_FILLS, finished_at=None)
    evening = calendar.session_close(DAY) + timedelta(minutes=2)
    assert due_work(account=account, wall_now=calendar.session_close(DAY))[0].task != "close_day"
    assert due_work(account=account, wall_now=evening) == [Due("close_day", (account.pk, "2012-01-04"))]
    close_session(account=account, day=DAY, wall_now=evening)
    assert due_work(account=account, wall_now=evening) == [Due("finish_run", (run.pk,))]


def test_replay_decides_once_its_morning_is_prepared(account: Account) -> None:
    start = OPEN - timedelta(minutes=30)
    Feed.objects.filter(pk=account.feed_id).update(kind=FeedKind.REPLAY, start_at=start, anchor_at=WALL_NOW, speed=390)
    account.feed.refresh_from_db()
    assert due(account, WALL_NOW) == []
    FeedProgress.objects.create(feed_name="real", processed_at=start)
    assert due(account, WALL_NOW) == BOTH_RUNS
