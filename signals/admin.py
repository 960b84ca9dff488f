"""Signals in the admin: to look at, never to edit."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from signals.models import Backtest, Signal, SignalSet


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


@admin.register(SignalSet)
class SignalSetAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """One row per strategy and close."""

    list_display = ("as_of_date", "strategy", "feature_date", "code_version", "created_at")
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
