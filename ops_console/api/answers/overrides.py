"""Overrides of limits."""

from datetime import datetime

from rest_framework import serializers

from ops_console.api.answers.parts import Answer, DecimalText, Instant, Shape
from risk.limits import SETTABLE
from risk.models import LimitOverride
from risk.states import OverrideState

SETTABLE_NAMES = [(name, definition.label) for name, definition in sorted(SETTABLE.items())]


class LimitOverrideSerializer(Shape):
    """Another value of a limit for a while; an empty strategy or symbol means all."""

    id = serializers.IntegerField()
    name = serializers.ChoiceField(choices=SETTABLE_NAMES)
    strategy = serializers.CharField(allow_blank=True)
    symbol = serializers.CharField(allow_blank=True)
    value = DecimalText()
    reason = serializers.CharField()
    state = serializers.ChoiceField(choices=OverrideState.choices)
    in_force = serializers.BooleanField(help_text="Approved, and now within its time.")
    valid_from = Instant(help_text="Wall time.")
    valid_until = Instant(help_text="Wall time.")
    requested_by = serializers.CharField()
    requested_at = Instant(help_text="Wall time.")
    decided_by = serializers.CharField(allow_blank=True, help_text="Who approved or turned down.")
    decided_at = Instant(allow_null=True, help_text="Wall time.")
    revoked_by = serializers.CharField(allow_blank=True)
    revoked_at = Instant(allow_null=True, help_text="Wall time.")


class LimitOverridesSerializer(Shape):
    """The newest hundred overrides."""

    overrides = LimitOverrideSerializer(many=True)


def override_answer(row: LimitOverride, now: datetime) -> Answer:
    """Return one override as it stands at a wall time."""
    names = [field.name for field in LimitOverride._meta.concrete_fields]
    running = row.state == OverrideState.APPROVED and row.valid_from <= now < row.valid_until
    return {name: getattr(row, name) for name in names} | {"in_force": running}
