"""Who trades: the account at a broker, the strategies that share it, and how each day closed."""

from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from execution.models.fields import AmountField
from marketdata.models import Feed


class Account(models.Model):
    """One account at one broker (or at the built-in exchange), priced and timed by one feed.

    The row is the first lock of every write: what it guards (cash, gross, names, loss, rate) cannot be passed twice.
    """

    class Mode(models.TextChoices):
        PAPER = "paper", "paper (built-in exchange)"
        DRY_RUN = "dry_run", "dry run (nothing is sent)"
        ALPACA_PAPER = "alpaca_paper", "Alpaca paper"
        ALPACA_LIVE = "alpaca_live", "Alpaca live"

    class Kind(models.TextChoices):
        DESK = "desk", "the desk's own"
        REPLAY = "replay", "a replay of history"

    class Reconciliation(models.TextChoices):
        PENDING = "pending", "not yet reconciled since the start"
        CLEAN = "clean", "agrees with the broker"
        BROKEN = "broken", "differs from the broker"
        FORCED = "forced", "may trade by two people's word"

    class Strangers(models.TextChoices):
        """What happens to orders and positions at the broker that nobody of ours wanted; none is ever canceled."""

        ADOPT = "adopt", "taken into the book under EXTERNAL"
        QUARANTINE = "quarantine", "refused, and the account is closed"

    name = models.CharField(max_length=64, unique=True)
    mode = models.CharField(max_length=16, choices=Mode.choices)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.DESK)
    account_number = models.CharField(max_length=64, blank=True, default="")
    feed = models.ForeignKey(Feed, on_delete=models.PROTECT, related_name="accounts")
    starting_cash = AmountField(help_text="account currency; deposits minus withdrawals so far")
    cash = AmountField(help_text="account currency; equals the sum of the cash entries")
    margin_multiplier = models.DecimalField(max_digits=4, decimal_places=2, default=Decimal(2))
    reconciliation = models.CharField(
        max_length=8, choices=Reconciliation.choices, default=Reconciliation.PENDING, db_default="pending"
    )
    reconciled_at = models.DateTimeField(null=True, blank=True)
    strangers = models.CharField(
        max_length=10,
        choices=Strangers.choices,
        default=Strangers.ADOPT,
        db_default="adopt",
        help_text="what happens to orders and positions at the broker that nobody of ours wanted",
    )
    activities_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="market time at the broker up to which fees, dividends and transfers are known",
    )
    report_cursor = models.BigIntegerField(default=0, help_text="sequence of the last broker report in the book")
    rate_window_at = models.DateTimeField(null=True, blank=True, help_text="market minute of the order rate counter")
    rate_window_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="account_mode_known", condition=Q(mode__in=["paper", "dry_run", "alpaca_paper", "alpaca_live"])
            ),
            models.CheckConstraint(name="account_kind_known", condition=Q(kind__in=["desk", "replay"])),
            models.CheckConstraint(
                name="account_reconciliation_known",
                condition=Q(reconciliation__in=["pending", "clean", "broken", "forced"]),
            ),
            models.CheckConstraint(name="account_strangers_known", condition=Q(strangers__in=["adopt", "quarantine"])),
            models.CheckConstraint(
                name="account_margin_multiplier_range",
                condition=Q(margin_multiplier__gte=1) & Q(margin_multiplier__lte=4),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def scope(self) -> str:
        """Name of the account where trading states are kept by scope."""
        return f"account:{self.name}"


class Strategy(models.Model):
    """An owner of orders and positions; its sub-ledger plus the others' is the broker's net position."""

    MANUAL = "manual"
    EXTERNAL = "EXTERNAL"

    name = models.SlugField(max_length=40, unique=True)
    enabled = models.BooleanField(default=True, help_text="scheduled runs start only for enabled strategies")
    scheduled = models.BooleanField(default=False, help_text="the clock starts a run of it for every session")
    capital_share = models.DecimalField(
        max_digits=5, decimal_places=4, default=Decimal(1), help_text="share of the account's capital, 0 to 1"
    )
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "strategies"
        constraints = (
            models.CheckConstraint(
                name="strategy_capital_share_range", condition=Q(capital_share__gte=0) & Q(capital_share__lte=1)
            ),
        )

    def __str__(self) -> str:
        return self.name


class DayResult(models.Model):
    """How a session closed; written once at the close, account currency."""

    date = models.DateField(help_text="NYSE session")
    realized_pnl = AmountField(help_text="of the day, dividends included, fees not")
    unrealized_pnl = AmountField(help_text="at the closing mark, of all that is held")
    fees = AmountField(help_text="of the day")
    dividends = AmountField(default=Decimal(0), help_text="of the day; contained in realized_pnl")
    pnl = AmountField(help_text="of the day: change of equity without deposits")
    gross_exposure = AmountField()
    net_exposure = AmountField()
    turnover = AmountField(default=Decimal(0), help_text="traded notional of the day")
    order_count = models.PositiveIntegerField(default=0)
    fill_count = models.PositiveIntegerField(default=0)
    closed_at = models.DateTimeField(help_text="market time of the marks")

    class Meta:
        abstract = True


class AccountDay(DayResult):
    """Close of one session for the whole account; the base of daily and weekly loss."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="days")
    cash = AmountField()
    equity = AmountField()
    peak_equity = AmountField(help_text="highest closing equity so far, for the drawdown")

    class Meta:
        ordering = ("account", "date")
        constraints = (
            models.UniqueConstraint(name="accountday_unique", fields=["account", "date"]),
            models.CheckConstraint(name="accountday_peak_is_highest", condition=Q(peak_equity__gte=F("equity"))),
        )

    def __str__(self) -> str:
        return f"{self.account_id} {self.date}"


class StrategyDay(DayResult):
    """Close of one session for one strategy's sub-ledger."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="strategy_days")
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="days")

    class Meta:
        ordering = ("account", "strategy", "date")
        constraints = (models.UniqueConstraint(name="strategyday_unique", fields=["account", "strategy", "date"]),)

    def __str__(self) -> str:
        return f"{self.account_id} {self.strategy_id} {self.date}"
