"""A view of the market: its clock, and the latest quote of each instrument in it."""

from datetime import datetime
from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from marketdata.clock import ClockState, describe, market_now, price_age, waiting_lead
from marketdata.models.instruments import Instrument
from marketdata.types import FeedKind, FeedState

MAX_PRICE = Decimal(10) ** 9


def price_or_absent(field: str) -> Q:
    """Build the condition of an optional price; the upper bound keeps out NaN, which PostgreSQL sorts above all."""
    return Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__gt": 0, f"{field}__lt": MAX_PRICE})


class Feed(models.Model):
    """One market view.

    `anchor_at`, `paused_at`, `last_tick_at` and `problem_at` are wall time; `start_at`, `end_at` and `market_at` market
    time.
    """

    MAIN = "main"

    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=8, choices=FeedKind.choices)
    start_at = models.DateTimeField(null=True, blank=True)
    end_at = models.DateTimeField(null=True, blank=True)
    speed = models.DecimalField(max_digits=12, decimal_places=3, default=Decimal(1), db_default=Decimal(1))
    anchor_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    market_at = models.DateTimeField(null=True, blank=True)
    last_tick_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(
        max_length=8, choices=FeedState.choices, default=FeedState.DOWN, db_default=FeedState.DOWN.value
    )
    source = models.CharField(max_length=32, blank=True, default="", db_default="", help_text="who tells its prices")
    problem = models.CharField(max_length=255, blank=True, default="", db_default="", help_text="what is wrong with it")
    problem_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(name="feed_kind_known", condition=Q(kind__in=FeedKind.values)),
            models.CheckConstraint(name="feed_state_known", condition=Q(state__in=FeedState.values)),
            models.CheckConstraint(name="feed_speed_positive", condition=Q(speed__gt=0)),
            models.CheckConstraint(
                name="feed_replay_has_clock",
                condition=~Q(kind=FeedKind.REPLAY) | Q(start_at__isnull=False, anchor_at__isnull=False),
            ),
            models.CheckConstraint(
                name="feed_manual_has_time", condition=~Q(kind=FeedKind.MANUAL) | Q(market_at__isnull=False)
            ),
            models.CheckConstraint(
                name="feed_pause_is_of_replay", condition=Q(paused_at__isnull=True) | Q(kind=FeedKind.REPLAY)
            ),
            models.CheckConstraint(
                name="feed_end_after_start",
                condition=Q(end_at__isnull=True) | Q(start_at__isnull=True) | Q(end_at__gte=F("start_at")),
            ),
        )

    def __str__(self) -> str:
        return self.name

    def clock_state(self) -> ClockState:
        """Return the row as the pure clock wants it."""
        return ClockState(
            kind=self.kind,
            start_at=self.start_at,
            end_at=self.end_at,
            speed=self.speed,
            anchor_at=self.anchor_at,
            paused_at=self.paused_at,
            market_at=self.market_at,
        )

    def market_now(self, wall_now: datetime) -> datetime:
        """Return market time at a wall instant."""
        return market_now(self.clock_state(), wall_now)

    def price_age(self, at: datetime, market_at: datetime) -> int:
        """Return the age of one of its prices in trading seconds; -1 for one that cannot be known yet."""
        return price_age(at, now=market_at, lead=waiting_lead(self.clock_state()))

    def described(self, wall_now: datetime) -> str:
        """Say in a line which market time it is."""
        state = self.clock_state()
        return describe(state, market_now(state, wall_now))


class Quote(models.Model):
    """The latest view of an instrument in a feed; `at` is market time, `updated_at` wall time.

    NULL means that side is absent.
    """

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="quotes")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="quotes")
    bid = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    ask = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    last = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    average_daily_volume = models.DecimalField(
        max_digits=20,
        decimal_places=8,
        null=True,
        blank=True,
        help_text="shares a session as known in this feed; a replay stands at another date than the desk",
    )
    at = models.DateTimeField()
    source = models.CharField(max_length=32)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(name="quote_feed_instrument_unique", fields=["feed", "instrument"]),
            models.CheckConstraint(name="quote_bid_positive", condition=price_or_absent("bid")),
            models.CheckConstraint(name="quote_ask_positive", condition=price_or_absent("ask")),
            models.CheckConstraint(name="quote_last_positive", condition=price_or_absent("last")),
            models.CheckConstraint(
                name="quote_volume_not_negative",
                condition=Q(average_daily_volume__isnull=True) | Q(average_daily_volume__gte=0),
            ),
            models.CheckConstraint(
                name="quote_not_crossed",
                condition=Q(bid__isnull=True) | Q(ask__isnull=True) | Q(bid__lte=F("ask")),
            ),
            models.CheckConstraint(
                name="quote_not_empty",
                condition=Q(bid__isnull=False) | Q(ask__isnull=False) | Q(last__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id} in {self.feed_id} at {self.at:%Y-%m-%d %H:%M:%S}"
