"""Limits, their changes, and names that must not be bought or shorted."""

from django.db import models
from django.db.models import Q

from marketdata.models import Instrument
from risk.limits import SETTABLE
from risk.models.overrides import LimitOverride
from risk.models.reasons import REASON_LENGTH


class Limit(models.Model):
    """A value that overrides a default; an empty strategy or symbol means all of them."""

    name = models.CharField(max_length=40, choices=[(item.name, item.label) for item in SETTABLE.values()])
    strategy = models.CharField(max_length=40, blank=True, default="")
    symbol = models.CharField(max_length=16, blank=True, default="")
    value = models.DecimalField(max_digits=20, decimal_places=8)

    class Meta:
        ordering = ("name", "strategy", "symbol")
        constraints = (
            models.UniqueConstraint(name="limit_unique", fields=["name", "strategy", "symbol"]),
            models.CheckConstraint(name="limit_name_known", condition=Q(name__in=sorted(SETTABLE))),
            models.CheckConstraint(name="limit_not_negative", condition=Q(value__gte=0)),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.strategy or '*'} {self.symbol or '*'} = {self.value.normalize():f}"


class LimitChange(models.Model):
    """One change of a limit, append-only; the newest id is the version of all limits."""

    name = models.CharField(max_length=40)
    strategy = models.CharField(max_length=40, blank=True, default="")
    symbol = models.CharField(max_length=16, blank=True, default="")
    old_value = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    new_value = models.DecimalField(
        max_digits=20, decimal_places=8, null=True, blank=True, help_text="empty when the override was removed"
    )
    override = models.ForeignKey(
        LimitOverride,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="changes",
        help_text="the override that begins or ends with this change",
    )
    operator = models.CharField(max_length=150)
    reason = models.TextField()
    at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        constraints = (models.CheckConstraint(name="limitchange_reason_length", condition=REASON_LENGTH),)

    def __str__(self) -> str:
        return f"{self.name}: {self.old_value} -> {self.new_value}"


class RestrictedInstrument(models.Model):
    """A name that must not be bought or shorted; reducing what is held stays allowed."""

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="restrictions")
    reason = models.TextField()
    operator = models.CharField(max_length=150)
    at = models.DateTimeField()
    lifted_by = models.CharField(max_length=150, blank=True, default="")
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                name="restriction_one_active", fields=["instrument"], condition=Q(lifted_at__isnull=True)
            ),
            models.CheckConstraint(name="restriction_reason_length", condition=REASON_LENGTH),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id}: {self.reason[:40]}"
