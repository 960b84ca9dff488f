"""What people must know of."""

from rest_framework import serializers

from ops_console.api.answers.parts import Answer, Instant, Shape, page_of
from risk.models import Alert
from risk.states import AlertSeverity, AlertState


class AlertSerializer(Shape):
    """One trouble, from its first sign until it is over."""

    id = serializers.IntegerField()
    code = serializers.CharField(help_text="Kind of trouble.")
    subject = serializers.CharField(help_text="What it is about.")
    severity = serializers.ChoiceField(choices=AlertSeverity.choices)
    message = serializers.CharField(help_text="As told last.")
    detail = serializers.DictField()
    state = serializers.ChoiceField(choices=AlertState.choices)
    count = serializers.IntegerField(min_value=1, help_text="How often it was told.")
    first_at = Instant(help_text="Wall time.")
    last_at = Instant(help_text="Wall time.")
    acknowledged_by = serializers.CharField(allow_blank=True)
    acknowledged_at = Instant(allow_null=True)
    resolved_at = Instant(allow_null=True)


AlertPageSerializer = page_of(AlertSerializer, "AlertPageSerializer")


def alert_answer(alert: Alert) -> Answer:
    """Return one alert."""
    return {name: getattr(alert, name) for name in AlertSerializer().get_fields()}
