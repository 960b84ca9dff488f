"""Who wants live prices of what."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from marketdata.models.feeds import Feed
from marketdata.models.instruments import Instrument
from marketdata.types import SubscriptionSource


class MarketSubscription(models.Model):
    """One reference: the instrument is subscribed while it has any.

    `holder` tells references of the same source apart: the account of a position or an order, the strategy of a watch
    list, nobody for those asked for by hand. `operator` is who asked by hand.
    """

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="subscriptions")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="subscriptions")
    source = models.CharField(max_length=12, choices=SubscriptionSource.choices)
    holder = models.CharField(max_length=64, blank=True, default="", db_default="")
    operator = models.CharField(max_length=150, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("feed", "instrument", "source", "holder")
        constraints = (
            models.UniqueConstraint(
                name="marketsubscription_reference_unique", fields=["feed", "instrument", "source", "holder"]
            ),
            models.CheckConstraint(
                name="marketsubscription_source_known", condition=Q(source__in=SubscriptionSource.values)
            ),
            models.CheckConstraint(
                name="marketsubscription_manual_has_no_holder",
                condition=~Q(source=SubscriptionSource.MANUAL) | Q(holder=""),
            ),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id} in {self.feed_id} for {self.source} {self.holder}".rstrip()
