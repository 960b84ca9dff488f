"""What the gate said to every intent."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from risk.states import DecisionOutcome


class Decision(models.Model):
    """What the gate said to one intent, with all it knew; append-only.

    `case` holds the intent as it was asked and the numbers it was judged by; `denials` is empty when it was accepted.
    """

    account = models.CharField(max_length=64)
    strategy = models.CharField(max_length=40)
    symbol = models.CharField(max_length=32)
    outcome = models.CharField(max_length=8, choices=DecisionOutcome.choices)
    codes = models.CharField(max_length=400, blank=True, default="", help_text="codes of the denials, comma between")
    denials = models.JSONField(default=list)
    warnings = models.JSONField(
        default=list, blank=True, db_default=[], help_text="soft limits that an accepted order has passed"
    )
    case = models.JSONField()
    market_at = models.DateTimeField(help_text="market time")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="decision_outcome_known", condition=Q(outcome__in=DecisionOutcome.values)),
            models.CheckConstraint(
                name="decision_denied_has_codes",
                condition=Q(outcome="accepted", codes="") | (Q(outcome="denied") & ~Q(codes="")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.outcome} {self.strategy} {self.symbol} {self.codes}"
