"""Ticks that were received and not kept."""

from django.db import models
from django.db.models import F, Q

from marketdata.models.feeds import Feed
from marketdata.types import TickLossReason


class TickLoss(models.Model):
    """How many ticks of a feed were dropped on a day of the wall, and why."""

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="tick_losses")
    reason = models.CharField(max_length=12, choices=TickLossReason.choices)
    day = models.DateField(help_text="day of the wall, UTC")
    count = models.PositiveBigIntegerField()
    first_at = models.DateTimeField(help_text="wall time")
    last_at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-day", "feed", "reason")
        verbose_name_plural = "tick losses"
        constraints = (
            models.UniqueConstraint(name="tickloss_once_a_day", fields=["feed", "reason", "day"]),
            models.CheckConstraint(name="tickloss_reason_known", condition=Q(reason__in=TickLossReason.values)),
            models.CheckConstraint(name="tickloss_counts", condition=Q(count__gt=0)),
            models.CheckConstraint(name="tickloss_in_order", condition=Q(last_at__gte=F("first_at"))),
        )

    def __str__(self) -> str:
        return f"{self.count} ticks of {self.feed_id} on {self.day}: {self.reason}"
