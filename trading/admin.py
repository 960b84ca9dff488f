"""Runs, replays and signs of life in the admin: to look at, never to edit."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from trading.models import FeedProgress, Heartbeat, Job, ReplayRun, Run, RunStep


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RunStepInline(_ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    """The steps of a run, in the order they ended."""

    model = RunStep
    fields = ("name", "state", "started_at", "finished_at", "error", "output")
    extra = 0


@admin.register(Run)
class RunAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """One row per account, strategy, session and kind."""

    list_display = ("trading_date", "strategy", "account", "kind", "state", "order_count", "denied_count", "reason")
    list_select_related = ("strategy", "account")
    list_filter = ("state", "strategy", "account__kind")
    search_fields = ("account__name", "reason")
    date_hierarchy = "trading_date"
    inlines = (RunStepInline,)


@admin.register(RunStep)
class RunStepAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Every step that ended."""

    list_display = ("run", "name", "state", "started_at", "finished_at", "error")
    list_select_related = ("run",)
    list_filter = ("state", "name")


@admin.register(ReplayRun)
class ReplayRunAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Replays of date ranges."""

    list_display = (
        "id",
        "account",
        "start_date",
        "end_date",
        "state",
        "last_completed_date",
        "created_at",
        "finished_at",
    )
    list_select_related = ("account",)
    list_filter = ("state",)


@admin.register(Job)
class JobAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Long work, waiting, under way and over; it is asked for and canceled on the console's page of jobs."""

    list_display = ("id", "kind", "state", "done", "total", "what", "asked_by", "asked_at", "finished_at", "error")
    list_filter = ("state", "kind")
    search_fields = ("asked_by", "error")
    date_hierarchy = "asked_at"


@admin.register(Heartbeat)
class HeartbeatAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Last sign of life of each process."""

    list_display = ("name", "at", "detail")


@admin.register(FeedProgress)
class FeedProgressAdmin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """How far each replayed feed has been carried."""

    list_display = ("feed_name", "processed_at")
