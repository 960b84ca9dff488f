"""What the judge remembers: switches, breaker, limits, restrictions and every decision."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length, Now

from marketdata.models import Instrument
from risk.limits import LIMITS
from risk.states import BreakerState, DecisionOutcome, ReleaseState

models.CharField.register_lookup(Length)
models.TextField.register_lookup(Length)

GLOBAL_SCOPE = "global"
REASON_LENGTH = Q(reason__length__gte=10) & Q(reason__length__lte=500)


class KillSwitchEvent(models.Model):
    """One turn of the kill switch, append-only; per scope the newest counts, and none for `global` means engaged."""

    class Source(models.TextChoices):
        CONSOLE = "console", "console"
        ADMIN = "admin", "admin"
        API = "api", "API"
        COMMAND = "command", "command line"
        SYSTEM = "system", "the system"
        INSTALLATION = "installation", "first installation"

    scope = models.CharField(max_length=80, help_text="global, strategy:NAME or account:NAME")
    engaged = models.BooleanField()
    operator = models.CharField(max_length=150)
    second_operator = models.CharField(max_length=150, blank=True, default="")
    reason = models.TextField()
    source = models.CharField(max_length=12, choices=Source.choices)
    at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(name="killswitch_newest", fields=["scope", "-id"]),)
        constraints = (
            models.CheckConstraint(name="killswitch_reason_length", condition=REASON_LENGTH),
            models.CheckConstraint(name="killswitch_operator_named", condition=~Q(operator="")),
            models.CheckConstraint(
                name="killswitch_scope_form",
                condition=Q(scope="global") | Q(scope__startswith="strategy:") | Q(scope__startswith="account:"),
            ),
            models.CheckConstraint(
                name="killswitch_release_needs_two",
                condition=Q(engaged=True)
                | Q(source="installation")
                | (~Q(second_operator="") & ~Q(second_operator=F("operator"))),
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} {'engaged' if self.engaged else 'released'} by {self.operator}"


class ReleaseRequest(models.Model):
    """One operator's wish to release the kill switch, waiting for another operator."""

    scope = models.CharField(max_length=80)
    requested_by = models.CharField(max_length=150)
    reason = models.TextField()
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=ReleaseState.choices, default=ReleaseState.PENDING)
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="releaserequest_one_pending", fields=["scope"], condition=Q(state="pending")),
            models.CheckConstraint(name="releaserequest_reason_length", condition=REASON_LENGTH),
            models.CheckConstraint(name="releaserequest_state_known", condition=Q(state__in=ReleaseState.values)),
            models.CheckConstraint(
                name="releaserequest_other_person",
                condition=~Q(state="approved") | (~Q(decided_by="") & ~Q(decided_by=F("requested_by"))),
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} asked by {self.requested_by}: {self.state}"


class BreakerEvent(models.Model):
    """One change of a circuit breaker, append-only; the newest per scope counts, none means tripped."""

    scope = models.CharField(max_length=80, help_text="account:NAME")
    state = models.CharField(max_length=12, choices=BreakerState.choices)
    cause = models.CharField(max_length=40, help_text="rule that tripped it, or manual")
    reason = models.TextField()
    operator = models.CharField(max_length=150)
    quiet_until = models.DateTimeField(null=True, blank=True, help_text="wall time the quiet period ends")
    at = models.DateTimeField(help_text="wall time")

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(name="breaker_newest", fields=["scope", "-id"]),)
        constraints = (
            models.CheckConstraint(name="breaker_state_known", condition=Q(state__in=BreakerState.values)),
            models.CheckConstraint(name="breaker_reason_length", condition=REASON_LENGTH),
            models.CheckConstraint(
                name="breaker_quiet_period_ends",
                condition=Q(state="quiet_period", quiet_until__isnull=False)
                | (~Q(state="quiet_period") & Q(quiet_until__isnull=True)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} {self.state} ({self.cause})"


class Limit(models.Model):
    """A value that overrides a default; an empty strategy or symbol means all of them."""

    name = models.CharField(max_length=40, choices=[(item.name, item.label) for item in LIMITS.values()])
    strategy = models.CharField(max_length=40, blank=True, default="")
    symbol = models.CharField(max_length=16, blank=True, default="")
    value = models.DecimalField(max_digits=20, decimal_places=8)

    class Meta:
        ordering = ("name", "strategy", "symbol")
        constraints = (
            models.UniqueConstraint(name="limit_unique", fields=["name", "strategy", "symbol"]),
            models.CheckConstraint(name="limit_name_known", condition=Q(name__in=sorted(LIMITS))),
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
