"""What the breaker watches: the newest reading of an account, faults of its broker, limits passed, correlations."""

from decimal import Decimal

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

ZERO = Decimal(0)


def amount(help_text: str) -> models.DecimalField[Decimal, Decimal]:
    """Return a column for account currency."""
    return models.DecimalField(max_digits=20, decimal_places=8, help_text=help_text)


class RiskReading(models.Model):
    """What the watch saw last of one account, and what it has to remember from one look to the next.

    `session_peak_equity` and `peak_equity` hold until `net_deposits` changes: a deposit raises both, a withdrawal
    lowers both, so that money which comes or goes is neither profit nor loss.
    """

    scope = models.CharField(max_length=80, unique=True, help_text="account:NAME")
    evaluated_at = models.DateTimeField(help_text="wall time of the look")
    market_at = models.DateTimeField(help_text="market time of the look")
    trading_date = models.DateField(help_text="NYSE session that session_peak_equity belongs to")
    equity = models.DecimalField(
        max_digits=20,
        decimal_places=8,
        null=True,
        blank=True,
        help_text="account currency, unrealised P&L included; empty when it could not be read",
    )
    net_deposits = amount("deposits minus withdrawals so far, account currency")
    day_base_equity = amount("equity at the close before and deposits since, account currency")
    week_base_equity = amount("equity at last week's close and deposits since, account currency")
    session_peak_equity = amount("highest equity of the session, account currency")
    peak_equity = amount("highest equity ever, account currency")
    limits_version = models.BigIntegerField(default=0, help_text="version of the limits that were looked by")
    streaks = models.JSONField(default=dict, blank=True, help_text="looks in a row over the limit, by cause")
    readings = models.JSONField(default=list, blank=True, encoder=DjangoJSONEncoder)

    class Meta:
        ordering = ("scope",)
        constraints = (
            models.CheckConstraint(
                name="riskreading_peak_is_highest", condition=Q(peak_equity__gte=F("session_peak_equity"))
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} at {self.evaluated_at:%Y-%m-%d %H:%M:%S}"


class BrokerFault(models.Model):
    """One order that the broker rejected, or one failure to talk to it: append-only, counted in a sliding minute."""

    class Kind(models.TextChoices):
        REJECT = "reject", "an order was rejected"
        ERROR = "error", "the broker failed to answer, or could not be reached"

    scope = models.CharField(max_length=80, help_text="account:NAME")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    code = models.CharField(max_length=64, blank=True, default="")
    reason = models.CharField(max_length=300, blank=True, default="")
    at = models.DateTimeField(db_default=Now(), help_text="wall time")

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(name="brokerfault_window", fields=["scope", "at", "kind"]),)
        constraints = (
            models.CheckConstraint(name="brokerfault_kind_known", condition=Q(kind__in=["reject", "error"])),
        )

    def __str__(self) -> str:
        return f"{self.scope} {self.kind} {self.code}"


class LimitBreach(models.Model):
    """A limit that what is held has passed, from the first look that saw it until it is kept again.

    `tries` and `last_try_at` belong to the automatic reduction; `symbol` is empty for a limit of the whole account.
    """

    scope = models.CharField(max_length=80, help_text="account:NAME")
    limit_name = models.CharField(max_length=40)
    symbol = models.CharField(max_length=32, blank=True, default="")
    strategy = models.CharField(max_length=40, blank=True, default="", help_text="empty: of all strategies together")
    allowed = amount("the limit, in its own unit")
    observed = amount("what is held, in the limit's unit")
    path = models.CharField(max_length=200, blank=True, default="", help_text="what has to go to be within it again")
    since = models.DateTimeField(help_text="wall time")
    seen_at = models.DateTimeField(help_text="wall time of the newest look")
    over_at = models.DateTimeField(null=True, blank=True, help_text="wall time it was kept again")
    tries = models.PositiveIntegerField(default=0, help_text="orders that the automatic reduction has asked for")
    last_try_at = models.DateTimeField(null=True, blank=True, help_text="wall time")

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "limit breaches"
        constraints = (
            models.UniqueConstraint(
                name="limitbreach_one_at_a_time",
                fields=["scope", "limit_name", "symbol", "strategy"],
                condition=Q(over_at__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return f"{self.scope} {self.limit_name} {self.symbol}: {self.observed} of {self.allowed}"


class Correlation(models.Model):
    """How alike two names moved lately: Pearson's coefficient of their daily returns, measured once a day."""

    symbol = models.CharField(max_length=32, help_text="the first of the two by name")
    other = models.CharField(max_length=32)
    coefficient = models.DecimalField(max_digits=7, decimal_places=6)
    sessions = models.PositiveIntegerField(help_text="days that both have a return of")
    as_of = models.DateField(help_text="the newest of these days")

    class Meta:
        ordering = ("symbol", "other")
        constraints = (
            models.UniqueConstraint(name="correlation_pair_unique", fields=["symbol", "other"]),
            models.CheckConstraint(name="correlation_pair_ordered", condition=Q(symbol__lt=F("other"))),
            models.CheckConstraint(name="correlation_range", condition=Q(coefficient__gte=-1) & Q(coefficient__lte=1)),
        )

    def __str__(self) -> str:
        return f"{self.symbol} {self.other}: {self.coefficient}"
