"""Halts and price bands, as the exchanges tell them."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from marketdata.models.feeds import MAX_PRICE, Feed
from marketdata.models.instruments import Instrument


class TradingStatus(models.Model):
    """The latest word on how an instrument trades in a feed; an instrument nobody spoke of has no row.

    `status_at` and `bands_at` are market time. A band counts in the session in which it was told.
    """

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="trading_statuses")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="trading_statuses")
    halted = models.BooleanField(default=False, db_default=False)
    status = models.CharField(max_length=8, blank=True, default="", db_default="", help_text="the tape's own code")
    status_text = models.CharField(max_length=128, blank=True, default="", db_default="")
    reason = models.CharField(max_length=16, blank=True, default="", db_default="")
    reason_text = models.CharField(max_length=255, blank=True, default="", db_default="")
    tape = models.CharField(max_length=4, blank=True, default="", db_default="")
    status_at = models.DateTimeField(null=True, blank=True)
    limit_down = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    limit_up = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    band_indicator = models.CharField(max_length=8, blank=True, default="", db_default="")
    bands_at = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=32)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("feed", "instrument")
        verbose_name_plural = "trading statuses"
        constraints = (
            models.UniqueConstraint(name="tradingstatus_feed_instrument_unique", fields=["feed", "instrument"]),
            models.CheckConstraint(
                name="tradingstatus_halt_dated", condition=Q(halted=False) | Q(status_at__isnull=False)
            ),
            models.CheckConstraint(
                name="tradingstatus_band_whole",
                condition=Q(limit_down__isnull=True, limit_up__isnull=True, bands_at__isnull=True)
                | Q(
                    limit_down__gt=0,
                    limit_up__gte=F("limit_down"),
                    limit_up__lt=MAX_PRICE,
                    limit_down__isnull=False,
                    limit_up__isnull=False,
                    bands_at__isnull=False,
                ),
            ),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id} in {self.feed_id}: {'halted' if self.halted else 'trading'}"
