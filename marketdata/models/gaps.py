"""What a live feed did not tell, and what it told that nobody could read."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from marketdata.models.feeds import Feed
from marketdata.types import GapReason

MAX_FRAME_BYTES = 65_536


class FeedGap(models.Model):
    """A stretch of wall time in which the stream told nothing; an open one has no end yet.

    Trades and quotes of that time are not known, unless REST was polled meanwhile.
    """

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="gaps")
    source = models.CharField(max_length=32)
    reason = models.CharField(max_length=16, choices=GapReason.choices)
    detail = models.CharField(max_length=255, blank=True, default="", db_default="")
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-began_at", "-pk")
        constraints = (
            models.UniqueConstraint(
                name="feedgap_one_open", fields=["feed", "source"], condition=Q(ended_at__isnull=True)
            ),
            models.CheckConstraint(name="feedgap_reason_known", condition=Q(reason__in=GapReason.values)),
            models.CheckConstraint(
                name="feedgap_ends_after_it_began", condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("began_at"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.source} {self.reason} from {self.began_at:%Y-%m-%d %H:%M:%S}"


class UnreadableFrame(models.Model):
    """A frame that could not be read, as it came; the first `MAX_FRAME_BYTES` of it."""

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="unreadable_frames")
    source = models.CharField(max_length=32)
    problem = models.CharField(max_length=255)
    content = models.BinaryField()
    size = models.PositiveIntegerField(help_text="bytes of the whole frame")
    received_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.source}: {self.problem}"
