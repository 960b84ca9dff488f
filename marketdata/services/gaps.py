"""Record when a live feed told nothing, and what nobody could read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Greatest

from marketdata.models import Feed, FeedGap, UnreadableFrame
from marketdata.models.gaps import MAX_FRAME_BYTES
from marketdata.services.statuses import halted_symbols
from marketdata.types import GapReason

DAY = timedelta(hours=24)
MOST_FRAMES = 1_000
"""Unreadable frames that are kept of a feed; the oldest go."""


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """What went wrong lately: gaps of the last day, the newest one, frames nobody could read, and what is halted."""

    gaps: int
    newest_gap: FeedGap | None
    unreadable_frames: int
    halted: list[str]


def feed_health(feed: Feed, wall_now: datetime) -> FeedHealth:
    """Return how the feed fared in the last 24 hours of the wall."""
    since = wall_now - DAY
    recent = FeedGap.objects.filter(Q(ended_at__isnull=True) | Q(ended_at__gt=since), feed=feed)
    frames = UnreadableFrame.objects.filter(feed=feed, received_at__gt=since).count()
    return FeedHealth(recent.count(), FeedGap.objects.filter(feed=feed).first(), frames, halted_symbols(feed))


@transaction.atomic
def open_gap(*, feed: Feed, source: str, reason: GapReason, detail: str, began_at: datetime) -> FeedGap:
    """Note that the stream tells nothing from an instant on; an open gap learns its newest reason. Locks: the gap."""
    gap, created = FeedGap.objects.select_for_update(of=("self",), no_key=True).get_or_create(
        feed=feed,
        source=source,
        ended_at=None,
        defaults={"reason": reason, "detail": detail[:255], "began_at": began_at},
    )
    if not created and (gap.reason, gap.detail) != (reason, detail[:255]):
        gap.reason, gap.detail = reason, detail[:255]
        gap.save(update_fields=["reason", "detail"])
    return gap


def close_gaps(*, feed: Feed, ended_at: datetime) -> int:
    """Note that the feed's stream runs again, and return how many gaps that ended; a wall clock may have gone back."""
    open_ones = FeedGap.objects.filter(feed=feed, ended_at__isnull=True)
    return open_ones.update(ended_at=Greatest(F("began_at"), Value(ended_at)))


@transaction.atomic
def keep_frames(*, feed: Feed, source: str, frames: Sequence[tuple[bytes, str]], received_at: datetime) -> None:
    """Keep frames that could not be read, each with what was wrong with it; of old ones the newest thousand."""
    UnreadableFrame.objects.bulk_create(
        UnreadableFrame(
            feed=feed,
            source=source,
            problem=problem.replace("\0", "")[:255],
            content=content[:MAX_FRAME_BYTES],
            size=len(content),
            received_at=received_at,
        )
        for content, problem in frames
    )
    oldest = UnreadableFrame.objects.filter(feed=feed).order_by("-pk").values_list("pk", flat=True)[MOST_FRAMES:][:1]
    for pk in oldest:
        UnreadableFrame.objects.filter(feed=feed, pk__lte=pk).delete()
