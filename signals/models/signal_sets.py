"""Signals as they were given: which strategy, on which data, as of which close."""

from django.db import models
from django.db.models import F, Q


class SignalSet(models.Model):
    """All signals of one strategy for one universe as of one session's close.

    The same code, parameters, universe and data give the same set, so it is stored once and used again.
    """

    strategy = models.SlugField(max_length=64, db_index=False)
    as_of_date = models.DateField(help_text="The session whose close is the newest thing known.")
    feature_date = models.DateField(null=True, help_text="The newest bar used; empty when every symbol is excluded.")
    universe = models.JSONField(help_text="Symbols asked about, sorted.")
    universe_hash = models.CharField(max_length=64)
    parameters = models.JSONField()
    parameters_hash = models.CharField(max_length=64)
    data_hash = models.CharField(max_length=64, help_text="SHA-256 over the adjusted bars that went in.")
    code_version = models.CharField(
        max_length=12, help_text="Over the text of the strategy's file, of its members' and of what makes weights."
    )
    model_version = models.ForeignKey(
        "signals.ModelVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The one model that scored, of an ensemble its member's; empty where there is none or more than one.",
    )
    feature_version = models.CharField(
        max_length=12, blank=True, default="", help_text="Of the features' definitions; empty where bars were scored."
    )
    present = models.JSONField(
        default=dict, help_text="Weights held when it was made, where a turnover cap moves from them."
    )
    created_at = models.DateTimeField(help_text="Wall time.")

    class Meta:
        ordering = ("-as_of_date", "strategy", "-pk")
        constraints = (
            models.UniqueConstraint(
                name="signalset_inputs_unique",
                fields=(
                    "strategy",
                    "as_of_date",
                    "universe_hash",
                    "parameters_hash",
                    "data_hash",
                    "code_version",
                ),
            ),
            models.CheckConstraint(
                name="signalset_feature_not_after_as_of",
                condition=Q(feature_date__isnull=True) | Q(feature_date__lte=F("as_of_date")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.strategy} as of {self.as_of_date:%Y-%m-%d}"


class ExcludedReason(models.TextChoices):
    """Why a symbol of the universe got no score."""

    NO_BARS = "no_bars", "no bars"
    INSUFFICIENT_HISTORY = "insufficient_history", "insufficient history"
    STALE_FEATURE = "stale_feature", "stale feature"
    NOT_FINITE = "not_finite", "score is not a finite number"


class Signal(models.Model):
    """What one set says about one instrument."""

    signal_set = models.ForeignKey(SignalSet, on_delete=models.CASCADE, related_name="signals", db_index=False)
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    score = models.FloatField(null=True, help_text="A research number, not money; higher is better.")
    rank = models.PositiveIntegerField(null=True, help_text="1 is the highest score.")
    target_weight = models.DecimalField(
        max_digits=7, decimal_places=6, default=0, help_text="Signed fraction of the strategy's capital."
    )
    feature_date = models.DateField(null=True, help_text="The newest bar used for this symbol.")
    excluded_reason = models.CharField(max_length=24, blank=True, choices=ExcludedReason.choices)

    class Meta:
        ordering = ("signal_set", "rank", "instrument")
        constraints = (
            models.UniqueConstraint(name="signal_set_instrument_unique", fields=("signal_set", "instrument")),
            models.CheckConstraint(
                name="signal_weight_within_one",
                condition=Q(target_weight__gte=-1) & Q(target_weight__lte=1),
            ),
            models.CheckConstraint(
                name="signal_scored_or_excluded",
                condition=Q(excluded_reason="", score__isnull=False, rank__isnull=False, feature_date__isnull=False)
                | (~Q(excluded_reason="") & Q(score__isnull=True, rank__isnull=True, target_weight=0)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id}: {self.target_weight}"
