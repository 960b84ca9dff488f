"""Look at the clock and put what is due into the worker's queue."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from execution.models import Account
from execution.selectors import desk_account
from marketdata import calendar
from marketdata.clock import wall_now
from marketdata.types import FeedKind
from trading.duties import DUTIES
from trading.management.worker import WorkerCommand
from trading.services.duty_rounds import DutyRounds
from trading.services.schedule import AUCTION_CUTOFF, Due, decisions_pending, due_work
from trading.services.start_line import HOLDING, MorningHold, StartLine
from trading.services.worker_watch import WorkerWatch, ask_for_sign_of_life
from trading.tasks import enqueue

HEARTBEAT_EVERY = timedelta(seconds=10)
ASK_AGAIN_AFTER = timedelta(seconds=30)
FAST_SPEED = 10


class Command(WorkerCommand):
    """Each second, and four times a second while a replay runs fast.

    What was enqueued is remembered for half a minute, so that a task that is still due is not asked for with every
    round. Two clocks do no harm: each task is idempotent and begins with a fencing update.
    """

    help = (
        "Perform the clock's duties (trading.duties) and enqueue what is due: runs, slices, reconciliation, closing of "
        "the books; a worker that gives no sign of life is ended, and the supervisor starts it again."
    )
    name = "clock"

    def start(self) -> None:
        """Forget what was asked for: after a failure or a restart it may be asked for again."""
        self.asked: dict[Due, datetime] = {}
        self.heartbeat_sent: datetime | None = None
        self.fast = False
        self.line = StartLine(wall_now())
        self.morning = MorningHold()
        self.duties = DutyRounds(DUTIES)
        self.watch = WorkerWatch(since=wall_now(), state_file=settings.VAR_DIR / "run" / "supervisor.json")

    def round(self) -> None:
        """Enqueue what is due now."""
        now = wall_now()
        account = desk_account(str(settings.TRADING_MODE))
        if account is None:
            return
        self._ask_worker(now)
        self.duties.perform(account, now)
        # A broker's clock is not ours to hold.
        if not settings.BROKER_MODE and not self.line.check(account.feed, now):
            return
        self.fast = account.feed.kind == FeedKind.REPLAY and account.feed.speed > FAST_SPEED
        due = due_work(account=account, wall_now=now)
        self.asked = {task: at for task, at in self.asked.items() if task in due and now - at < ASK_AGAIN_AFTER}
        for task in due:
            if task not in self.asked:
                enqueue(task.task, *task.arguments)
                self.asked[task] = now
        if self.fast and not settings.BROKER_MODE:
            self._hold_for_decisions(account, due, now)

    def _hold_for_decisions(self, account: Account, due: Sequence[Due], now: datetime) -> None:
        """Let a fast replay wait for the morning's orders."""
        market_at = account.feed.market_now(now)
        day = calendar.trading_date(market_at)
        before_open = market_at < calendar.session_open(day) - AUCTION_CUTOFF
        deciding = before_open and decisions_pending(account=account, due=due, day=day)
        self.morning.check(account.feed, deciding=deciding, day=day, wall_now=now)

    def _ask_worker(self, now: datetime) -> None:
        """Ask the worker for a sign of life, and have it started anew when it gives none."""
        if self.heartbeat_sent is None or now - self.heartbeat_sent >= HEARTBEAT_EVERY:
            ask_for_sign_of_life(now)
            self.heartbeat_sent = now
        self.watch.check(now)

    def time_between_rounds(self) -> timedelta:
        """Return the pause."""
        return timedelta(milliseconds=200) if self.fast else self.pause

    def detail(self) -> dict[str, Any]:
        """Tell how many tasks are waiting to be done."""
        said = {"waiting": len(self.asked), HOLDING: self.line.holding or self.morning.since is not None}
        return said | {"failing": sorted(self.duties.failing)} if self.duties.failing else said
