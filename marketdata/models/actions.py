"""Splits and dividends, as events."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from marketdata.models.instruments import Instrument
from marketdata.types import ActionKind


class CorporateAction(models.Model):
    """One event with its ex-date. A split has a `ratio` (new shares for one old), a dividend a `cash_amount` (a share).

    `announced_at` is null where the source does not tell; the event then counts as known from its ex-date on.
    """

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="corporate_actions")
    kind = models.CharField(max_length=8, choices=ActionKind.choices)
    ex_date = models.DateField()
    ratio = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    cash_amount = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    announced_at = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=32, default="manual", db_default="manual")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ("instrument", "ex_date", "kind")
        constraints = (
            models.UniqueConstraint(name="corporateaction_event_unique", fields=["instrument", "kind", "ex_date"]),
            models.CheckConstraint(name="corporateaction_kind_known", condition=Q(kind__in=ActionKind.values)),
            models.CheckConstraint(
                name="corporateaction_split_has_ratio",
                condition=~Q(kind=ActionKind.SPLIT) | Q(ratio__gt=0, ratio__isnull=False, cash_amount__isnull=True),
            ),
            models.CheckConstraint(
                name="corporateaction_dividend_has_cash",
                condition=~Q(kind=ActionKind.DIVIDEND)
                | Q(cash_amount__gt=0, cash_amount__isnull=False, ratio__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.instrument_id} on {self.ex_date}"
