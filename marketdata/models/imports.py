"""How bars came in, and which of them were kept out."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from marketdata.models.instruments import Instrument
from marketdata.types import ImportState, QualityRule, QuarantineStatus, Timeframe

REASON_LENGTH = (10, 500)


class BarImport(models.Model):
    """One import of bars. `cursor` is the last year that is in the lake: an interrupted import goes on after it."""

    source = models.CharField(max_length=64)
    timeframe = models.CharField(max_length=4, choices=Timeframe.choices)
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of the imported bars: the same bars resume")
    state = models.CharField(max_length=8, choices=ImportState.choices, default=ImportState.RUNNING)
    rows = models.PositiveBigIntegerField(default=0, help_text="rows read")
    written = models.PositiveBigIntegerField(default=0, help_text="bars new or changed in the lake")
    quarantined = models.PositiveBigIntegerField(default=0, help_text="bars newly in quarantine")
    gaps = models.JSONField(default=list, blank=True, help_text="missing sessions as [symbol, date]")
    cursor = models.PositiveSmallIntegerField(null=True, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-started_at", "-pk")
        constraints = (
            models.UniqueConstraint(name="barimport_content_unique", fields=["source", "timeframe", "content_hash"]),
            models.CheckConstraint(name="barimport_timeframe_known", condition=Q(timeframe__in=Timeframe.values)),
            models.CheckConstraint(name="barimport_state_known", condition=Q(state__in=ImportState.values)),
            models.CheckConstraint(
                name="barimport_finished_when_done",
                condition=~Q(state=ImportState.DONE) | Q(finished_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.timeframe} bars from {self.source} ({self.state})"


class QuarantinedBar(models.Model):
    """A bar the quality gate kept out. Readers do not see it until an operator releases it; a rejected one stays out.

    `payload` holds open, high, low, close and volume as text, because a bad bar may not be a number at all.
    `bar_at` is the start of the bar: midnight UTC of the session for daily bars.
    """

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="quarantined_bars")
    timeframe = models.CharField(max_length=4, choices=Timeframe.choices)
    bar_at = models.DateTimeField()
    date = models.DateField(help_text="session")
    payload = models.JSONField()
    rule = models.CharField(max_length=24, choices=QualityRule.choices)
    detail = models.CharField(max_length=255)
    source = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the bar: the same bar is kept out once")
    status = models.CharField(max_length=12, choices=QuarantineStatus.choices, default=QuarantineStatus.QUARANTINED)
    decided_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("instrument", "bar_at", "pk")
        constraints = (
            models.UniqueConstraint(name="quarantinedbar_bar_unique", fields=["fingerprint"]),
            models.UniqueConstraint(
                name="quarantinedbar_one_released",
                fields=["instrument", "timeframe", "bar_at"],
                condition=Q(status=QuarantineStatus.RELEASED),
            ),
            models.CheckConstraint(name="quarantinedbar_timeframe_known", condition=Q(timeframe__in=Timeframe.values)),
            models.CheckConstraint(name="quarantinedbar_rule_known", condition=Q(rule__in=QualityRule.values)),
            models.CheckConstraint(name="quarantinedbar_status_known", condition=Q(status__in=QuarantineStatus.values)),
            models.CheckConstraint(
                name="quarantinedbar_decision_signed",
                condition=Q(status=QuarantineStatus.QUARANTINED, decided_by="", decided_at__isnull=True, reason="")
                | (
                    Q(status__in=[QuarantineStatus.RELEASED, QuarantineStatus.REJECTED], decided_at__isnull=False)
                    & ~Q(decided_by="")
                    & ~Q(reason="")
                ),
            ),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.timeframe} {self.date}: {self.rule} ({self.status})"
