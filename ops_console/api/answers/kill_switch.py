"""The kill switch: what engaging would do, what it did, how its halts stand, and what they have left."""

from typing import Any

from rest_framework import serializers

from execution.halting.residue import left
from execution.models import HaltProcedure, HaltResidue
from execution.models.halting import ProcedureState
from execution.types import HaltReport
from ops_console.api.answers.controls import ReleaseRequestSerializer, ScopeSerializer
from ops_console.api.answers.parts import Answer, DecimalText, Instant, Shape, names_of
from risk.states import SwitchLevel
from trading.services.halt_preview import HaltPreview


class ResidueSerializer(Shape):
    """One order or position that a halt has not got rid of."""

    kind = serializers.ChoiceField(choices=HaltResidue.Kind.choices)
    name = serializers.CharField(help_text="client_order_id, or strategy/symbol; accepted under this name.")
    symbol = serializers.CharField()
    quantity = DecimalText(help_text="Shares left; a short position is negative.")
    why = serializers.ChoiceField(choices=HaltResidue.Why.choices)
    detail = serializers.CharField(allow_blank=True)
    accepted_by = serializers.CharField(allow_blank=True)
    accepted_reason = serializers.CharField(allow_blank=True)


class HaltProcedureSerializer(Shape):
    """A halt until it is proved."""

    id = serializers.IntegerField()
    account = serializers.CharField()
    scope = serializers.CharField()
    level = serializers.ChoiceField(choices=SwitchLevel.choices, help_text="active: made without a switch")
    state = serializers.ChoiceField(choices=ProcedureState.choices)
    flatten = serializers.BooleanField()
    everything = serializers.BooleanField(help_text="Orders that are not ours are canceled as well.")
    at_open = serializers.BooleanField(help_text="Closing orders may wait for the next open.")
    operator = serializers.CharField()
    reason = serializers.CharField()
    problem = serializers.CharField(allow_blank=True, help_text="What keeps it from going on.")
    asked_at = Instant(help_text="Wall time.")
    finished_at = Instant(allow_null=True, help_text="Wall time.")
    residue = ResidueSerializer(many=True)


class KillSwitchSerializer(Shape):
    """Every scope that was ever touched; `global` first and always there."""

    engaged = serializers.BooleanField(help_text="The global switch.")
    scopes = ScopeSerializer(many=True)
    pending_requests = ReleaseRequestSerializer(many=True)
    halts = HaltProcedureSerializer(many=True)
    warning = serializers.CharField(allow_blank=True, help_text="Why cancels wait, when nobody sends them.")


class HaltSerializer(Shape):
    """What engaging did."""

    scope = serializers.CharField()
    engaged = serializers.BooleanField()
    level = serializers.ChoiceField(choices=SwitchLevel.choices, help_text="In force in the scope from now on.")
    already_engaged = serializers.BooleanField()
    event_id = serializers.IntegerField()
    canceled = serializers.IntegerField(help_text="Orders never sent, canceled here.")
    cancel_requested = serializers.IntegerField(help_text="Orders at the broker, cancel under way.")
    paused_parents = serializers.IntegerField(help_text="Orders in slices; each is resumed by hand.")
    halt_id = serializers.IntegerField(
        allow_null=True, help_text="Its halt at the desk, null when the dispatcher opens it."
    )
    warning = serializers.CharField(allow_blank=True, help_text="Why cancels wait, when nobody sends them.")


class HaltPreviewSerializer(Shape):
    """What engaging would touch now; values in account currency."""

    scope = serializers.CharField()
    level = serializers.ChoiceField(choices=SwitchLevel.choices)
    level_now = serializers.ChoiceField(choices=SwitchLevel.choices)
    level_then = serializers.ChoiceField(choices=SwitchLevel.choices)
    open_orders = serializers.IntegerField()
    open_value = DecimalText()
    cancel_pending = serializers.IntegerField(help_text="Of the open orders: their cancel is under way already.")
    being_replaced = serializers.IntegerField(help_text="Of the open orders: their cancel is repeated.")
    replaced_alive = serializers.IntegerField(help_text="Of the open orders: new terms of an earlier one.")
    positions = serializers.IntegerField()
    gross = DecimalText()
    parents = serializers.IntegerField(help_text="Orders in slices.")
    parent_shares_left = DecimalText()
    runs_under_way = serializers.IntegerField()
    runs_pending = serializers.IntegerField()
    market_phase = serializers.CharField()
    dispatcher_silent_seconds = serializers.IntegerField(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField(), help_text="For people.")


RESIDUE_NAMES, PROCEDURE_NAMES = names_of(ResidueSerializer), names_of(HaltProcedureSerializer)
PREVIEW_NAMES = names_of(HaltPreviewSerializer)


def procedure_answer(procedure: HaltProcedure) -> Answer:
    """Return one halt."""
    fields: dict[str, Any] = {
        name: getattr(procedure, name) for name in PROCEDURE_NAMES if name not in ("account", "residue")
    }
    residue = [{name: getattr(row, name) for name in RESIDUE_NAMES} for row in left(procedure)]
    return {**fields, "account": procedure.account.name, "residue": residue}


def halt_answer(scope: str, report: HaltReport, *, warning: str) -> Answer:
    """Return what engaging did."""
    return {
        "scope": scope,
        "engaged": True,
        "level": report.level,
        "already_engaged": report.already_engaged,
        "event_id": report.event_id,
        "canceled": report.canceled_unsent,
        "cancel_requested": report.cancel_requested,
        "paused_parents": report.paused_parents,
        "halt_id": report.procedure_id,
        "warning": warning,
    }


def preview_answer(found: HaltPreview) -> Answer:
    """Return scope and consequence."""
    return {name: getattr(found, name) for name in PREVIEW_NAMES}
