"""What is due for an account now: daily runs before the open, reports after the close.

Times are market time. A real market decides at 09:05 New York; a replay decides as soon as its morning is prepared,
because its minutes pass in moments and the auction does not wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import F

from execution.brokers.alpaca_modes import NETWORK_MODES
from execution.models import Account, AccountDay, CashEntry, Order, Strategy
from execution.states import OrderStatus
from marketdata import calendar
from marketdata.clock import BEFORE_OPEN
from marketdata.types import FeedKind
from signals.strategies.registry import strategy_names
from trading.models import FeedProgress, Run
from trading.services.broker_assets import assets_are_due
from trading.services.runs import DAILY
from trading.services.session_bars import bars_are_due
from trading.states import RunState

DECIDE_BEFORE_OPEN = timedelta(minutes=25)
AUCTION_CUTOFF = timedelta(minutes=2)
SETTLE_AFTER_CLOSE = timedelta(minutes=1)
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Due:
    """One task that is due; `task` is a name of `trading.tasks`, the arguments are plain values."""

    task: str
    arguments: tuple[str | int, ...]


def due_work(*, account: Account, wall_now: datetime) -> list[Due]:
    """Return the tasks that are due for the account, in the order they should be done. At most seven queries."""
    market_at = account.feed.market_now(wall_now)
    reached = _reached(account, market_at)
    news = _news(account, market_at, wall_now) if account.mode in NETWORK_MODES else []
    return [*_after_close(account, reached), *news, *_before_open(account, market_at, reached)]


def decisions_pending(*, account: Account, due: Sequence[Due], day: date) -> bool:
    """Tell whether a session's runs are still to be made, under way, or have orders that have not left."""
    if any(item.task == "run_daily" for item in due):
        return True
    under_way = Run.objects.filter(account=account, trading_date=day, state__in=(RunState.PENDING, RunState.RUNNING))
    return under_way.exists() or Order.objects.filter(account=account, status=OrderStatus.PENDING).exists()


def _reached(account: Account, market_at: datetime) -> datetime:
    """Return the market time up to which the day has been worked: of a replay, what the stream has carried out."""
    if account.feed.kind != FeedKind.REPLAY:
        return market_at - SETTLE_AFTER_CLOSE
    progress = FeedProgress.objects.filter(feed_name=account.feed.name).values_list("processed_at", flat=True).first()
    return calendar.session_open(date(2000, 1, 3)) if progress is None else progress


def _news(account: Account, market_at: datetime, wall_now: datetime) -> list[Due]:
    """Return what a desk at a broker has to learn before it decides: what may be traded, and how it closed."""
    assets = assets_are_due(account=account, market_at=market_at, wall_now=wall_now)
    due = {"read_assets": assets, "import_bars": bars_are_due(market_at)}
    return [Due(task, (account.pk,)) for task, is_due in due.items() if is_due]


def _before_open(account: Account, market_at: datetime, reached: datetime) -> list[Due]:
    day = calendar.trading_date(market_at)
    opening = calendar.session_open(day)
    if account.feed.kind == FeedKind.REPLAY:
        ready = reached >= opening - BEFORE_OPEN
    else:
        ready = market_at >= opening - DECIDE_BEFORE_OPEN
    if not ready:
        return []
    runs = {run.strategy_id: run for run in Run.objects.filter(account=account, trading_date=day, kind=DAILY)}
    scheduled = Strategy.objects.filter(enabled=True, scheduled=True, name__in=strategy_names()).order_by("name")
    in_time = market_at < opening - AUCTION_CUTOFF
    tasks = ((strategy, _task_for(runs.get(strategy.pk), in_time=in_time)) for strategy in scheduled)
    return [Due(task, (account.pk, strategy.name, day.isoformat())) for strategy, task in tasks if task]


def _task_for(run: Run | None, *, in_time: bool) -> str:
    """Return the task that begins a session's run, or goes on with it after a crash or a failure; empty for none.

    A run that was begun is always ended, after the cut-off too: the gate then denies its orders and the report says so.
    """
    if run is None:
        return "run_daily" if in_time else "skip_daily"
    unfinished = run.state in (RunState.PENDING, RunState.RUNNING)
    repeatable = in_time and run.state == RunState.FAILED and run.attempts < MAX_ATTEMPTS
    return "run_daily" if unfinished or repeatable else ""


def _after_close(account: Account, reached: datetime) -> list[Due]:
    due: list[Due] = []
    closed = calendar.previous_session(calendar.trading_date(reached + timedelta(microseconds=1)))
    known = AccountDay.objects.filter(account=account, date=closed).exists()
    if not known and CashEntry.objects.filter(account=account, trading_date__lte=closed).exists():
        due.append(Due("close_day", (account.pk, closed.isoformat())))
    waiting = Run.objects.filter(
        account=account,
        state=RunState.AWAITING_FILLS,
        trading_date__lte=closed,
        account__days__date=F("trading_date"),
    )
    due.extend(Due("finish_run", (run_id,)) for run_id in waiting.order_by("pk").values_list("pk", flat=True))
    return due
