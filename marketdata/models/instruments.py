"""What can be traded."""

from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

PERMISSIONS = ("tradable", "shortable", "fractionable")
"""What people switch on and off; each has a `…_denied_by`, because a broker may switch it off as well."""
SYMBOL_PATTERN = r"^[A-Z][A-Z0-9.\-]{0,15}$"


def _denied_by() -> "models.CharField[str, str]":
    return models.CharField(
        max_length=128,
        blank=True,
        default="",
        db_default="",
        help_text="the account whose broker switched it off, and why; empty when a person did or nobody",
    )


class Instrument(models.Model):
    """One listed security; prices move in `tick_size` (account currency), quantities in `lot_size` (shares).

    A permission (`tradable`, `shortable`, `fractionable`) that a broker has switched off is switched on again by that
    broker; one that a person has switched off only by a person.
    """

    symbol = models.CharField(max_length=16, unique=True)
    name = models.CharField(max_length=128, blank=True, default="", db_default="")
    exchange = models.CharField(max_length=16, blank=True, default="XNYS", db_default="XNYS")
    tick_size = models.DecimalField(
        max_digits=20, decimal_places=8, default=Decimal("0.01"), db_default=Decimal("0.01")
    )
    lot_size = models.DecimalField(max_digits=20, decimal_places=8, default=Decimal(1), db_default=Decimal(1))
    tradable = models.BooleanField(default=True, db_default=True)
    shortable = models.BooleanField(default=True, db_default=True)
    fractionable = models.BooleanField(default=False, db_default=False)
    tradable_denied_by = _denied_by()
    shortable_denied_by = _denied_by()
    fractionable_denied_by = _denied_by()
    average_daily_volume = models.DecimalField(
        max_digits=20, decimal_places=8, null=True, blank=True, help_text="shares a session, over 20 complete sessions"
    )
    adv_as_of = models.DateField(null=True, blank=True, help_text="last session in the average")
    sector = models.CharField(
        max_length=40,
        blank=True,
        default="",
        db_default="",
        help_text="names of one sector share a limit; those without one share theirs",
    )
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ("symbol",)
        constraints = (
            models.CheckConstraint(name="instrument_symbol_form", condition=Q(symbol__regex=SYMBOL_PATTERN)),
            models.CheckConstraint(name="instrument_tick_size_positive", condition=Q(tick_size__gt=0)),
            models.CheckConstraint(name="instrument_lot_size_positive", condition=Q(lot_size__gt=0)),
            models.CheckConstraint(
                name="instrument_adv_dated",
                condition=Q(average_daily_volume__isnull=True, adv_as_of__isnull=True)
                | Q(average_daily_volume__gte=0, adv_as_of__isnull=False),
            ),
            *(
                models.CheckConstraint(
                    name=f"instrument_{name}_or_denied", condition=Q(**{name: False}) | Q(**{f"{name}_denied_by": ""})
                )
                for name in PERMISSIONS
            ),
        )

    def __str__(self) -> str:
        return self.symbol
