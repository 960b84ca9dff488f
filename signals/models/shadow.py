"""What versions in the shadow would have done, and what it would have brought. Rows are inserted, never changed."""

from django.db import models
from django.db.models import F, Q

from signals.models.registry import ModelVersion
from signals.models.signal_sets import ExcludedReason, SignalSet


class ShadowRole(models.TextChoices):
    """Whose weights a session's result is about."""

    ACTIVE = "active", "active"
    SHADOW = "shadow", "shadow"


class ShadowSet(models.Model):
    """What one version in the shadow said as of one close, or why it could say nothing."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="shadow_sets", db_index=False)
    strategy = models.SlugField(max_length=64, db_index=False)
    as_of_date = models.DateField(help_text="the session whose close is the newest thing known")
    session = models.DateField(help_text="the session whose open the orders would have been for")
    universe = models.JSONField(help_text="symbols asked about, sorted")
    parameters = models.JSONField()
    data_hash = models.CharField(max_length=64, blank=True, default="", help_text="SHA-256 over the rows that went in")
    feature_version = models.CharField(max_length=12, blank=True, default="")
    code_version = models.CharField(max_length=12, help_text="over the text of the strategy's file")
    capital = models.DecimalField(max_digits=20, decimal_places=4, help_text="account currency the run had")
    failure = models.CharField(max_length=500, blank=True, default="", help_text="why there are no signals")
    created_at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-as_of_date", "strategy", "version")
        constraints = (
            models.UniqueConstraint(name="shadowset_unique", fields=["version", "as_of_date"]),
            models.CheckConstraint(name="shadowset_as_of_before_session", condition=Q(as_of_date__lt=F("session"))),
            models.CheckConstraint(
                name="shadowset_scored_or_failed", condition=~Q(failure="") | Q(data_hash__regex="^[0-9a-f]{64}$")
            ),
        )
        indexes = (models.Index(name="shadowset_by_session", fields=["strategy", "session"]),)

    def __str__(self) -> str:
        return f"{self.strategy} version {self.version_id} as of {self.as_of_date:%Y-%m-%d}"


class ShadowSignal(models.Model):
    """What a shadow set says about one instrument."""

    shadow_set = models.ForeignKey(ShadowSet, on_delete=models.PROTECT, related_name="signals", db_index=False)
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    score = models.FloatField(null=True, help_text="higher is better")
    rank = models.PositiveIntegerField(null=True, help_text="1 is the highest score")
    target_weight = models.DecimalField(
        max_digits=7, decimal_places=6, default=0, help_text="signed fraction of the strategy's capital"
    )
    excluded_reason = models.CharField(max_length=24, blank=True, choices=ExcludedReason.choices)

    class Meta:
        ordering = ("shadow_set", "rank", "instrument")
        constraints = (
            models.UniqueConstraint(name="shadow_set_instrument_unique", fields=["shadow_set", "instrument"]),
            models.CheckConstraint(
                name="shadowsignal_scored_or_excluded",
                condition=Q(excluded_reason="", score__isnull=False, rank__isnull=False)
                | (~Q(excluded_reason="") & Q(score__isnull=True, rank__isnull=True, target_weight=0)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id}: {self.target_weight}"


class ShadowResult(models.Model):
    """What a version's target weights brought in one session, by the same arithmetic for active and shadow.

    Fractions of the capital: what was held from the close before to the open, and the new weights from the open to the
    close, less an assumed cost of what was traded. The book's own result differs: it has whole shares, fills and fees.
    """

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="shadow_results", db_index=False)
    strategy = models.SlugField(max_length=64, db_index=False)
    session = models.DateField()
    role = models.CharField(max_length=8, choices=ShadowRole.choices)
    shadow_set = models.OneToOneField(ShadowSet, null=True, on_delete=models.PROTECT, related_name="result")
    signal_set = models.ForeignKey(SignalSet, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    gross_return = models.DecimalField(max_digits=12, decimal_places=8)
    cost = models.DecimalField(max_digits=12, decimal_places=8)
    turnover = models.DecimalField(max_digits=12, decimal_places=8, help_text="Σ|change of weight|")
    pnl = models.DecimalField(max_digits=20, decimal_places=4, help_text="account currency, after cost")
    rank_ic = models.FloatField(
        null=True, help_text="Spearman's, scores against open-to-close; null with under 3 names"
    )
    unpriced = models.JSONField(help_text="symbols with a weight and without both prices; they count as unmoved")
    created_at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-session", "strategy", "role", "version")
        constraints = (
            models.UniqueConstraint(name="shadowresult_unique", fields=["version", "session", "role"]),
            models.CheckConstraint(name="shadowresult_role_known", condition=Q(role__in=ShadowRole.values)),
            models.CheckConstraint(
                name="shadowresult_from_its_set",
                condition=Q(role=ShadowRole.SHADOW, shadow_set__isnull=False, signal_set__isnull=True)
                | Q(role=ShadowRole.ACTIVE, shadow_set__isnull=True, signal_set__isnull=False),
            ),
        )
        indexes = (models.Index(name="shadowresult_by_strategy", fields=["strategy", "-session"]),)

    def __str__(self) -> str:
        return f"{self.strategy} version {self.version_id} ({self.role}) {self.session:%Y-%m-%d}"
