"""Signals in the admin: to look at, never to edit."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from signals.models import (
    Backtest,
    ModelApproval,
    ModelEvent,
    ModelVersion,
    RefusalCount,
    ShadowResult,
    ShadowSet,
    ShadowSignal,
    Signal,
    SignalSet,
)


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SignalInline(_ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """The signals of a set, best first."""

    model = Signal
    fields = ("rank", "instrument", "score", "target_weight", "feature_date", "excluded_reason")
    extra = 0

    def get_queryset(self, request: HttpRequest) -> Any:
        """Fetch the instruments with the rows."""
        return super().get_queryset(request).select_related("instrument")


@admin.register(Backtest)
class BacktestAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """One row per backtest that was asked for; its page in the console shows more."""

    list_display = ("id", "kind", "strategy", "start_date", "end_date", "state", "asked_by", "created_at")
    list_filter = ("kind", "state", "strategy")
    search_fields = ("title", "asked_by")


class ModelEventInline(_ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """What was done to a version, newest first."""

    model = ModelEvent
    fields = ("at", "act", "from_status", "to_status", "operator", "second_operator", "reason")
    extra = 0


@admin.register(ModelVersion)
class ModelVersionAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """One row per trained model; the models page activates and rolls back."""

    list_display = ("strategy", "number", "status", "first_date", "last_date", "rounds", "created_by", "created_at")
    list_filter = ("strategy", "status")
    search_fields = ("sha256", "created_by")
    inlines = (ModelEventInline,)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the heavy columns out until one version is opened."""
        return super().get_queryset(request).defer("golden", "importance", "metrics")


@admin.register(ModelEvent)
class ModelEventAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Every step of every version."""

    list_display = ("at", "version", "act", "from_status", "to_status", "operator", "second_operator", "reason")
    list_select_related = ("version",)
    list_filter = ("act", "version__strategy")
    search_fields = ("operator", "second_operator", "reason")
    date_hierarchy = "at"


@admin.register(ModelApproval)
class ModelApprovalAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Requests to activate, whatever became of them."""

    list_display = ("version", "state", "requested_by", "requested_at", "expires_at", "decided_by", "decided_at")
    list_select_related = ("version",)
    list_filter = ("state",)


@admin.register(SignalSet)
class SignalSetAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """One row per strategy and close."""

    list_display = ("as_of_date", "strategy", "model_version", "feature_date", "code_version", "created_at")
    list_select_related = ("model_version",)
    list_filter = ("strategy",)
    date_hierarchy = "as_of_date"
    inlines = (SignalInline,)


@admin.register(Signal)
class SignalAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """One row per set and instrument."""

    list_display = ("signal_set", "instrument", "rank", "score", "target_weight", "feature_date", "excluded_reason")
    list_select_related = ("signal_set", "instrument")
    list_filter = ("signal_set__strategy", "excluded_reason")
    search_fields = ("instrument__symbol",)
    date_hierarchy = "signal_set__as_of_date"


@admin.register(RefusalCount)
class RefusalCountAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """What signals refused, by strategy and reason."""

    list_display = ("strategy", "reason", "count", "last_at", "last_detail")
    list_filter = ("strategy", "reason")


@admin.register(ShadowSet)
class ShadowSetAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """What versions in the shadow said, one row a version and close."""

    list_display = ("as_of_date", "version", "session", "capital", "failure", "created_at")
    list_select_related = ("version",)
    list_filter = ("strategy",)
    date_hierarchy = "as_of_date"


@admin.register(ShadowSignal)
class ShadowSignalAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """One row per shadow set and instrument."""

    list_display = ("shadow_set", "instrument", "rank", "score", "target_weight", "excluded_reason")
    list_select_related = ("shadow_set", "instrument")
    list_filter = ("shadow_set__strategy", "excluded_reason")
    search_fields = ("instrument__symbol",)


@admin.register(ShadowResult)
class ShadowResultAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """What versions' weights brought, one row a version and session."""

    list_display = ("session", "version", "role", "gross_return", "cost", "turnover", "pnl", "rank_ic")
    list_select_related = ("version",)
    list_filter = ("strategy", "role")
    date_hierarchy = "session"
