"""What we know of an account's line to its broker, and everything the broker has told."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from execution.models.accounts import Account
from execution.models.fields import AmountField


class BrokerLink(models.Model):
    """An account's line to a broker over a network: who answered there first, and how the line is now.

    The row is the lock under which messages get their numbers. Times are wall time. `pinned_*` are written once: an
    answer from another account is refused for ever.
    """

    class Stream(models.TextChoices):
        DOWN = "down", "not connected"
        CONNECTING = "connecting", "connecting"
        LIVE = "live", "connected and heard"
        MUTE = "mute", "connected, but silent about what REST tells"
        REFUSED = "refused", "the broker refuses the connection"

    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="broker_link")
    pinned_account_id = models.CharField(max_length=64, blank=True, default="")
    pinned_account_number = models.CharField(max_length=64, blank=True, default="")
    pinned_key = models.CharField(max_length=64, blank=True, default="", help_text="SHA-256 of the key's id")
    pinned_at = models.DateTimeField(null=True, blank=True)
    identity_problem = models.CharField(
        max_length=300,
        blank=True,
        default="",
        db_default="",
        help_text="why nothing is sent: who answers is not who was pinned, or not one of the account's mode",
    )
    message_count = models.BigIntegerField(default=0, db_default=0, help_text="sequence of the newest message")
    stream = models.CharField(max_length=12, choices=Stream.choices, default=Stream.DOWN, db_default=Stream.DOWN.value)
    stream_since = models.DateTimeField(null=True, blank=True)
    stream_problem = models.CharField(max_length=300, blank=True, default="")
    heard_at = models.DateTimeField(null=True, blank=True, help_text="the newest frame or pong of the stream")
    polled_at = models.DateTimeField(null=True, blank=True, help_text="the newest cross-check by REST that succeeded")
    poll_problem = models.CharField(max_length=300, blank=True, default="")
    backfilled_until = models.DateTimeField(
        null=True, blank=True, help_text="market time at the broker up to which executions are known"
    )
    trading_blocked = models.BooleanField(default=False, help_text="by the broker")
    suspended = models.BooleanField(null=True, blank=True, help_text="orders are refused by the owner's own request")
    suspended_by_us = models.BooleanField(default=False, help_text="set with the kill switch: the second lock")
    suspend_problem = models.CharField(max_length=300, blank=True, default="")
    suspend_checked_at = models.DateTimeField(null=True, blank=True)
    clock_skew_milliseconds = models.IntegerField(null=True, blank=True, help_text="the broker's clock minus ours")
    assets_for = models.DateField(
        null=True, blank=True, help_text="the session for which the broker's list of what it trades and lends was read"
    )
    assets_tried_at = models.DateTimeField(null=True, blank=True)
    assets_problem = models.CharField(max_length=300, blank=True, default="", db_default="")
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="brokerlink_stream_known",
                condition=Q(stream__in=["down", "connecting", "live", "mute", "refused"]),
            ),
            models.CheckConstraint(
                name="brokerlink_pinned_whole",
                condition=Q(pinned_at__isnull=True, pinned_account_id="", pinned_account_number="")
                | Q(pinned_at__isnull=False) & ~Q(pinned_account_id="") & ~Q(pinned_account_number=""),
            ),
        )

    def __str__(self) -> str:
        return f"{self.account_id}: {self.stream}"


class BrokerMessage(models.Model):
    """One thing that a broker told us, whatever the way: append-only, numbered for each account without a gap.

    `key` says which fact it is, so that the stream, a look by REST and a webhook store it once. A message that is no
    report (unreadable, a kind nobody knows) has an empty `kind` and is kept for people.
    """

    class Source(models.TextChoices):
        STREAM = "stream", "the stream"
        POLL = "poll", "a look by REST"
        WEBHOOK = "webhook", "a webhook"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="broker_messages", db_index=False)
    sequence = models.BigIntegerField()
    key = models.CharField(max_length=200)
    source = models.CharField(max_length=8, choices=Source.choices)
    kind = models.CharField(max_length=20, blank=True, default="", help_text="of the report; empty is none")
    client_order_id = models.CharField(max_length=128, blank=True, default="")
    broker_order_id = models.CharField(max_length=64, blank=True, default="")
    broker_execution_id = models.CharField(max_length=96, blank=True, default="")
    at = models.DateTimeField(help_text="market time at the broker")
    quantity = AmountField(null=True, blank=True)
    price = AmountField(null=True, blank=True)
    fee = AmountField(null=True, blank=True)
    cumulative_quantity = AmountField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True, default="")
    payload = models.JSONField(encoder=DjangoJSONEncoder, help_text="as it came")
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="brokermessage_sequence_unique", fields=["account", "sequence"]),
            models.UniqueConstraint(name="brokermessage_once", fields=["account", "key"]),
            models.CheckConstraint(
                name="brokermessage_source_known", condition=Q(source__in=["stream", "poll", "webhook"])
            ),
            models.CheckConstraint(
                name="brokermessage_fill_has_numbers",
                condition=~Q(kind="fill")
                | Q(quantity__gt=0, price__gt=0, cumulative_quantity__isnull=False) & ~Q(broker_execution_id=""),
            ),
        )
        indexes = (models.Index(name="brokermessage_by_order", fields=["account", "broker_order_id"]),)

    def __str__(self) -> str:
        return f"#{self.sequence} {self.kind or 'no report'} {self.client_order_id[:12]}"
