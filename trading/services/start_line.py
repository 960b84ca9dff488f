"""Hold a replay where its market would run away: until everybody is there, and while a morning's decisions are made.

At 390 times the speed of the market, the seconds that processes take to start, or a busy machine takes to decide, are
the half hour before an open. So the clock process stops the replay when it starts, and lets it go when stream,
dispatcher and worker have shown a sign of life; and it stops it again each morning until the orders have left.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from marketdata.models import Feed
from marketdata.services.feeds import pause_feed, resume_feed
from marketdata.types import FeedKind
from trading.models import Heartbeat
from trading.services.heartbeats import beat

CLOCK = "clock"
AWAITED = ("stream", "dispatcher", "worker")
PATIENCE = timedelta(seconds=30)
HOLDING = "holding"


@dataclass(slots=True)
class StartLine:
    """One start of the clock process; `started_at` is wall time."""

    started_at: datetime
    released: bool = False
    holding: bool = False

    def check(self, feed: Feed, wall_now: datetime) -> bool:
        """Hold or release the feed; return whether the start is over.

        A hold is written down before the feed is paused, so that a clock which dies meanwhile is followed by one that
        knows whose pause it was. A pause that somebody else asked for is left alone.
        """
        if self.released:
            return True
        late = wall_now - self.started_at > PATIENCE
        if late or feed.kind != FeedKind.REPLAY or everybody_there(self.started_at):
            self._release(feed, wall_now)
        elif not self.holding:
            self._hold(feed, wall_now)
        return self.released

    def _hold(self, feed: Feed, wall_now: datetime) -> None:
        if feed.paused_at is not None and not _held_before():
            self.released = True  # somebody's own wish
            return
        self.holding = True
        hold(feed=feed, wall_now=wall_now)

    def _release(self, feed: Feed, wall_now: datetime) -> None:
        if self.holding or (feed.paused_at is not None and _held_before()):
            let_go(feed=feed, wall_now=wall_now)
        self.released, self.holding = True, False


@dataclass(slots=True)
class MorningHold:
    """Stops a replay while decisions are pending, each morning for a while at most; `since` is wall time."""

    since: datetime | None = None
    given_up_on: date | None = None

    def check(self, feed: Feed, *, deciding: bool, day: date, wall_now: datetime) -> None:
        """Hold or let go; a pause that somebody else asked for is left alone."""
        if self.since is None:
            if deciding and feed.paused_at is None and day != self.given_up_on:
                hold(feed=feed, wall_now=wall_now)
                self.since = wall_now
        elif not deciding or wall_now - self.since > PATIENCE:
            let_go(feed=feed, wall_now=wall_now)
            self.since, self.given_up_on = None, day if deciding else None


def hold(*, feed: Feed, wall_now: datetime) -> None:
    """Stop a running replay for the processes that are about to start; one that has never ticked stays at its start."""
    if feed.kind != FeedKind.REPLAY or feed.paused_at is not None or feed.anchor_at is None:
        return
    beat(name=CLOCK, wall_now=wall_now, detail={HOLDING: True})
    pause_feed(feed=feed, wall_now=feed.anchor_at if feed.last_tick_at is None else wall_now)


def let_go(*, feed: Feed, wall_now: datetime) -> None:
    """Let a held replay go on from where it stood."""
    resume_feed(feed=feed, wall_now=wall_now)
    beat(name=CLOCK, wall_now=wall_now, detail={HOLDING: False})


def everybody_there(since: datetime) -> bool:
    """Tell whether each awaited process has shown a sign of life since that wall time."""
    return Heartbeat.objects.filter(name__in=AWAITED, at__gte=since).count() == len(AWAITED)


def _held_before() -> bool:
    """Tell whether the last clock died while it held the feed."""
    detail = Heartbeat.objects.filter(name=CLOCK).values_list("detail", flat=True).first()
    return bool(detail and detail.get(HOLDING))
