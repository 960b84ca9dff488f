"""Models: what each version was made from, how good it is, where it stands. Numbers with a point are texts."""

from typing import Any

from rest_framework import serializers

from ops_console.api.answers.backtests import exact
from ops_console.api.answers.parts import Answer, Instant, Shape, list_of, names_of, page_of
from signals.models import ModelApproval, ModelEvent, ModelVersion
from signals.states import ApprovalState, ModelAct, ModelStatus


class ModelSerializer(Shape):
    """One version of a strategy's model."""

    id = serializers.IntegerField()
    strategy = serializers.CharField()
    number = serializers.IntegerField(help_text="1, 2, … within the strategy.")
    status = serializers.ChoiceField(choices=ModelStatus.choices)
    signed = serializers.BooleanField()
    sha256 = serializers.CharField(help_text="Of the file's bytes.")
    size_bytes = serializers.IntegerField()
    rounds = serializers.IntegerField(help_text="Trees kept by the early stopping.")
    seed = serializers.IntegerField()
    symbols = serializers.ListField(child=serializers.CharField())
    first_date = serializers.DateField(help_text="First session of the data.")
    last_date = serializers.DateField(help_text="Last session of the data; no label knows a later close.")
    feature_version = serializers.CharField()
    code_version = serializers.CharField()
    data_hash = serializers.CharField(help_text="SHA-256 over the rows that went in.")
    created_by = serializers.CharField()
    created_at = Instant(help_text="Wall time.")
    metrics = serializers.DictField(help_text="Of train, valid and test: IC, rank IC, decay, quantiles, turnover.")


class ModelEventSerializer(Shape):
    """One step of a version's life."""

    act = serializers.ChoiceField(choices=ModelAct.choices)
    from_status = serializers.CharField(allow_blank=True)
    to_status = serializers.ChoiceField(choices=ModelStatus.choices)
    operator = serializers.CharField()
    second_operator = serializers.CharField(allow_blank=True, help_text="Who approved.")
    reason = serializers.CharField()
    at = Instant(help_text="Wall time.")


class ModelApprovalSerializer(Shape):
    """A request to activate a version, which another person has to approve."""

    id = serializers.IntegerField()
    model_id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=ApprovalState.choices)
    requested_by = serializers.CharField()
    reason = serializers.CharField()
    requested_at = Instant(help_text="Wall time.")
    expires_at = Instant(help_text="Wall time from which it can be approved no more.")
    decided_by = serializers.CharField(allow_blank=True)
    decided_at = Instant(allow_null=True, help_text="Wall time.")


class ModelDetailSerializer(ModelSerializer):
    """A version with its parameters, splits, features, steps and requests."""

    features = serializers.ListField(child=serializers.CharField(), help_text="In the model's order.")
    parameters = serializers.DictField()
    splits = serializers.DictField(help_text="Dates and rows of train, valid and test; the embargo in sessions.")
    importance = serializers.DictField(help_text="Of each feature: gain and number of splits.")
    events = ModelEventSerializer(many=True, help_text="Newest first.")
    approvals = ModelApprovalSerializer(many=True, help_text="Newest first.")


class ModelReloadSerializer(Shape):
    """What one process uses of a strategy."""

    strategy = serializers.CharField()
    active_id = serializers.IntegerField(help_text="The version that is active.")
    used_id = serializers.IntegerField(allow_null=True, help_text="What this process scores with; null: nothing yet.")
    state = serializers.ChoiceField(
        choices=[
            ("unchanged", "in use already"),
            ("loaded", "loaded now"),
            ("verified", "not used by this process; its file and signature are right"),
            ("failed", "cannot be used; what was used before is kept"),
        ]
    )
    detail = serializers.CharField(allow_blank=True, help_text="Why it failed.")


ModelPageSerializer = page_of(ModelSerializer, "ModelPageSerializer")
ModelReloadsSerializer = list_of(ModelReloadSerializer, "ModelReloadsSerializer")
ROW = tuple(name for name in names_of(ModelSerializer) if name not in ("signed", "metrics"))
EVENT, APPROVAL = names_of(ModelEventSerializer), names_of(ModelApprovalSerializer)


def model_answer(version: ModelVersion) -> Answer:
    """Return one version as a list shows it."""
    told = {name: getattr(version, name) for name in ROW}
    return told | {"signed": bool(version.signature), "metrics": exact(version.metrics)}


def model_detail_answer(version: ModelVersion) -> Answer:
    """Return one version with everything. Two queries."""
    more: dict[str, Any] = {name: exact(getattr(version, name)) for name in ("parameters", "splits", "importance")}
    return {
        **model_answer(version),
        **more,
        "features": version.features,
        "events": [event_answer(event) for event in version.events.order_by("-id")],
        "approvals": [approval_answer(approval) for approval in version.approvals.order_by("-id")],
    }


def event_answer(event: ModelEvent) -> Answer:
    """Return one step."""
    return {name: getattr(event, name) for name in EVENT}


def approval_answer(approval: ModelApproval) -> Answer:
    """Return one request."""
    return {name: approval.version_id if name == "model_id" else getattr(approval, name) for name in APPROVAL}
