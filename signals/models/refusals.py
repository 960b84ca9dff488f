"""How often signals were refused, and why."""

from django.db import models
from django.db.models import Q


class RefusalCount(models.Model):
    """One row a strategy and reason; `count` only ever rises, so that a counter of metrics may be read from it."""

    strategy = models.SlugField(max_length=64, db_index=False)
    reason = models.SlugField(max_length=32, db_index=False)
    count = models.PositiveBigIntegerField(help_text="symbols left out, or whole sets refused")
    last_at = models.DateTimeField(help_text="wall time")
    last_detail = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ("strategy", "reason")
        constraints = (
            models.UniqueConstraint(name="refusalcount_unique", fields=["strategy", "reason"]),
            models.CheckConstraint(name="refusalcount_counts", condition=Q(count__gt=0)),
        )

    def __str__(self) -> str:
        return f"{self.strategy} {self.reason}: {self.count}"
