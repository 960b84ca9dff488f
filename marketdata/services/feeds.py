"""Set up feeds and steer their clocks. Market time never jumps backward, whatever is changed."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import transaction

from marketdata.calendar import session_close, session_open
from marketdata.clock import AFTER_CLOSE, BEFORE_OPEN, ClockState, market_now
from marketdata.errors import ClockRefusedError, FeedMissingError
from marketdata.models import Feed
from marketdata.types import FeedKind, FeedState

SAMPLE_REPLAY = (date(2012, 1, 3), date(2013, 3, 1))
SAMPLE_SPEED = Decimal(390)
CLOCK_STEP_BACK = timedelta(minutes=5)
"""How far (market time) a clock that is followed may step back: what a pause took, measured a moment apart."""


@transaction.atomic
def ensure_main_feed(
    *,
    wall_now: datetime,
    name: str = Feed.MAIN,
    kind: FeedKind = FeedKind.REPLAY,
    first: date = SAMPLE_REPLAY[0],
    last: date | None = SAMPLE_REPLAY[1],
    speed: Decimal = SAMPLE_SPEED,
) -> Feed:
    """Return the desk's feed; create it where it is missing, and leave it as it runs where it is not.

    :raises ClockRefusedError: it exists with another kind
    """
    wanted = _replay_fields(first, last, speed, wall_now) if kind == FeedKind.REPLAY else {}
    feed, _ = Feed.objects.get_or_create(name=name, defaults={"kind": kind, **wanted})
    if feed.kind != kind:
        raise ClockRefusedError(f"feed {name} is {feed.kind}, not {kind}: its history would change its meaning")
    return feed


@transaction.atomic
def follow_clock(*, name: str, state: ClockState | None, wall_now: datetime) -> Feed:
    """Return the feed of a desk whose broker tells the time, made to follow it.

    `state` is the clock of a broker that replays the past, None of one that lives in the present. Nobody here steers
    such a feed. Time that nobody lived through does not count: while the desk was down, a replay may have been paused
    or slowed. Locks: the feed.
    :raises ClockRefusedError: the broker changed between past and present, or its clock went back
    """
    kind = FeedKind.REAL if state is None else FeedKind.REPLAY
    feed = Feed.objects.select_for_update(of=("self",), no_key=True).filter(name=name).first()
    if feed is None:
        return Feed.objects.create(name=name, kind=kind, **_followed_fields(state))
    if feed.kind != kind:
        raise ClockRefusedError(
            f"feed {name} is {feed.kind} and the broker's clock {kind}: a desk of its own needs a database of its own"
        )
    if state is None or feed.clock_state() == state:
        return feed
    lived = wall_now if feed.last_tick_at is None else min(wall_now, feed.last_tick_at)
    before, after = feed.market_now(lived), market_now(state, wall_now)
    if after < before - CLOCK_STEP_BACK:
        raise ClockRefusedError(
            f"the broker's clock went back from {before.isoformat()} to {after.isoformat()}:"
            " start it where it was, or use a database of its own"
        )
    for field, value in _followed_fields(state).items():
        setattr(feed, field, value)
    feed.save(update_fields=list(_followed_fields(state)))
    return feed


def _followed_fields(state: ClockState | None) -> dict[str, object]:
    if state is None:
        return {}
    return {
        "start_at": state.start_at,
        "end_at": state.end_at,
        "speed": state.speed,
        "anchor_at": state.anchor_at,
        "paused_at": state.paused_at,
    }


@transaction.atomic
def create_manual_feed(*, name: str, market_at: datetime) -> Feed:
    """Create a feed whose time is set by hand; a feed of that name and kind is returned as it is."""
    feed, _ = Feed.objects.get_or_create(
        name=name, defaults={"kind": FeedKind.MANUAL, "market_at": market_at, "state": FeedState.LIVE}
    )
    if feed.kind != FeedKind.MANUAL:
        raise ClockRefusedError(f"feed {name} is {feed.kind}: its time is not set by hand")
    return feed


@transaction.atomic
def set_market_time(*, feed: Feed, at: datetime) -> Feed:
    """Move a manual feed's time forward. Locks: the feed.

    :raises ClockRefusedError: not a manual feed, or the time lies before its present one
    """
    locked = _locked(feed)
    if locked.kind != FeedKind.MANUAL or locked.market_at is None:
        raise ClockRefusedError(f"feed {locked.name} is {locked.kind}: its time is not set by hand")
    if at < locked.market_at:
        raise ClockRefusedError(f"feed {locked.name} stands at {locked.market_at.isoformat()}: time does not go back")
    locked.market_at = at
    locked.save(update_fields=["market_at"])
    feed.market_at = at
    return locked


@transaction.atomic
def pause_feed(*, feed: Feed, wall_now: datetime) -> Feed:
    """Stop a replay's clock where it is; a paused one stays as it is. Locks: the feed."""
    locked = _locked_replay(feed)
    if locked.paused_at is None:
        locked.paused_at = wall_now
        locked.save(update_fields=["paused_at"])
    return locked


@transaction.atomic
def resume_feed(*, feed: Feed, wall_now: datetime) -> Feed:
    """Let a paused replay go on from where it stopped. Locks: the feed."""
    locked = _locked_replay(feed)
    if locked.paused_at is not None:
        _anchor(locked, market_now(locked.clock_state(), wall_now), wall_now)
        locked.paused_at = None
        locked.save(update_fields=["start_at", "anchor_at", "paused_at"])
    return locked


@transaction.atomic
def set_feed_speed(*, feed: Feed, speed: Decimal, wall_now: datetime) -> Feed:
    """Change a replay's speed from now on (market seconds a wall second). Locks: the feed.

    :raises ClockRefusedError: not a replay, or the speed is not positive
    """
    if not speed.is_finite() or speed <= 0:
        raise ClockRefusedError(f"speed {speed} is not allowed: a positive number is")
    locked = _locked_replay(feed)
    _anchor(locked, market_now(locked.clock_state(), wall_now), wall_now)
    if locked.paused_at is not None:
        locked.paused_at = wall_now
    locked.speed = speed
    locked.save(update_fields=["start_at", "anchor_at", "paused_at", "speed"])
    return locked


@transaction.atomic
def continue_after_downtime(*, feed: Feed, wall_now: datetime) -> Feed:
    """Let a replay go on from its last tick, as if the time nobody was ticking had not passed. Locks: the feed.

    Called once by whoever starts the processes, before any of them reads the clock.
    """
    locked = _locked(feed)
    ticked = locked.last_tick_at
    if locked.kind == FeedKind.REPLAY and locked.paused_at is None and ticked is not None and ticked < wall_now:
        _anchor(locked, market_now(locked.clock_state(), ticked), wall_now)
        locked.save(update_fields=["start_at", "anchor_at"])
    return locked


def record_tick(*, feed: Feed, wall_now: datetime, state: FeedState = FeedState.LIVE) -> None:
    """Note that the feed was heard at a wall instant, and how it is."""
    Feed.objects.filter(pk=feed.pk).update(last_tick_at=wall_now, state=state)


def set_feed_state(*, feed: Feed, state: FeedState) -> None:
    """Note how the feed is without having heard it."""
    Feed.objects.filter(pk=feed.pk).update(state=state)


def _replay_fields(first: date, last: date | None, speed: Decimal, wall_now: datetime) -> dict[str, object]:
    return {
        "start_at": session_open(first) - BEFORE_OPEN,
        "end_at": None if last is None else session_close(last) + AFTER_CLOSE,
        "speed": speed,
        "anchor_at": wall_now,
    }


def _anchor(feed: Feed, at: datetime, wall_now: datetime) -> None:
    feed.start_at = at
    feed.anchor_at = wall_now


def _locked(feed: Feed) -> Feed:
    try:
        return Feed.objects.select_for_update(of=("self",), no_key=True).get(pk=feed.pk)
    except Feed.DoesNotExist:
        raise FeedMissingError(f"feed {feed.name} is gone") from None


def _locked_replay(feed: Feed) -> Feed:
    locked = _locked(feed)
    if locked.kind != FeedKind.REPLAY:
        raise ClockRefusedError(f"feed {locked.name} is {locked.kind}: only a replay's clock is steered")
    return locked
