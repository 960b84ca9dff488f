"""Market data in the admin: facts are shown, decisions go through services."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest

from marketdata.clock import wall_now
from marketdata.errors import MarketDataError
from marketdata.models import (
    BarImport,
    CorporateAction,
    Feed,
    FeedGap,
    Instrument,
    MarketSubscription,
    QuarantinedBar,
    Quote,
    TickLoss,
    TradingStatus,
    UnreadableFrame,
)
from marketdata.models.instruments import PERMISSIONS
from marketdata.services.feeds import pause_feed, resume_feed
from marketdata.services.quarantine import reject_bar, release_bar

if TYPE_CHECKING:
    RowAdmin = admin.ModelAdmin[Any]
else:
    RowAdmin = admin.ModelAdmin  # generic for the type checker only


SHOWN_BYTES = 500


class ReadOnlyAdmin(RowAdmin):
    """Rows that only the platform writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class InstrumentForm(forms.ModelForm[Instrument]):
    """What a person switches on is denied by nobody until a broker says so again."""

    class Meta:
        model = Instrument
        fields = "__all__"  # noqa: DJ007 the admin says which of them are read only

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in PERMISSIONS:
            if cleaned.get(name):
                cleaned[f"{name}_denied_by"] = ""
        return cleaned


@admin.register(Instrument)
class InstrumentAdmin(RowAdmin):
    form = InstrumentForm
    list_display = (
        "symbol",
        "name",
        "exchange",
        "sector",
        "tradable",
        "tradable_denied_by",
        "shortable",
        "shortable_denied_by",
        "average_daily_volume",
        "adv_as_of",
    )
    list_filter = ("tradable", "shortable", "fractionable", "exchange", "sector")
    search_fields = ("symbol", "name")
    readonly_fields = ("average_daily_volume", "adv_as_of", "created_at")

    def has_delete_permission(self, request: HttpRequest, obj: Instrument | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Instrument | None = None) -> tuple[str, ...]:
        """Keep the symbol of an existing instrument: bars in the lake carry it."""
        return self.readonly_fields if obj is None else ("symbol", *self.readonly_fields)


@admin.register(Feed)
class FeedAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "market_time", "speed", "state", "source", "problem", "last_tick_at", "paused_at")
    list_filter = ("kind", "state")
    search_fields = ("name",)
    actions = ("pause", "resume")

    @admin.display(description="market time")
    def market_time(self, feed: Feed) -> str:
        return feed.described(wall_now())

    @admin.action(description="Pause the replay", permissions=["steer"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Feed]) -> None:
        self._steer(request, queryset, pause_feed)

    @admin.action(description="Let the replay go on", permissions=["steer"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Feed]) -> None:
        self._steer(request, queryset, resume_feed)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("marketdata.change_feed")

    def _steer(self, request: HttpRequest, queryset: QuerySet[Feed], service: Callable[..., Feed]) -> None:
        for feed in queryset:
            try:
                changed = service(feed=feed, wall_now=wall_now())
                self.message_user(request, f"{changed}: {changed.described(wall_now())}", messages.SUCCESS)
            except MarketDataError as error:
                self.message_user(request, str(error), messages.ERROR)


@admin.register(Quote)
class QuoteAdmin(ReadOnlyAdmin):
    list_display = ("instrument", "feed", "bid", "ask", "last", "at", "source", "updated_at")
    list_filter = ("feed", "source")
    list_select_related = ("instrument", "feed")
    search_fields = ("instrument__symbol",)


@admin.register(MarketSubscription)
class MarketSubscriptionAdmin(ReadOnlyAdmin):
    list_display = ("instrument", "feed", "source", "holder", "operator", "created_at")
    list_filter = ("feed", "source")
    list_select_related = ("instrument", "feed")
    search_fields = ("instrument__symbol", "holder", "operator")


@admin.register(TradingStatus)
class TradingStatusAdmin(ReadOnlyAdmin):
    list_display = ("instrument", "feed", "halted", "status_text", "reason_text", "status_at", "limit_down", "limit_up")
    list_filter = ("halted", "feed")
    list_select_related = ("instrument", "feed")
    search_fields = ("instrument__symbol", "reason_text")


@admin.register(FeedGap)
class FeedGapAdmin(ReadOnlyAdmin):
    list_display = ("feed", "source", "reason", "detail", "began_at", "ended_at")
    list_filter = ("feed", "reason")
    list_select_related = ("feed",)
    search_fields = ("detail",)
    date_hierarchy = "began_at"


@admin.register(TickLoss)
class TickLossAdmin(ReadOnlyAdmin):
    list_display = ("day", "feed", "reason", "count", "first_at", "last_at")
    list_filter = ("feed", "reason")
    list_select_related = ("feed",)
    search_fields = ("feed__name",)
    date_hierarchy = "day"


@admin.register(UnreadableFrame)
class UnreadableFrameAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "feed", "source", "problem", "size")
    list_filter = ("feed", "source")
    list_select_related = ("feed",)
    search_fields = ("problem",)
    readonly_fields = ("beginning",)

    @admin.display(description="beginning of the frame")
    def beginning(self, frame: UnreadableFrame) -> str:
        return repr(bytes(frame.content[:SHOWN_BYTES]))


@admin.register(CorporateAction)
class CorporateActionAdmin(RowAdmin):
    list_display = ("instrument", "kind", "ex_date", "ratio", "cash_amount", "announced_at", "source")
    list_filter = ("kind", "instrument", "source")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol",)
    date_hierarchy = "ex_date"
    readonly_fields = ("created_at",)
    autocomplete_fields = ("instrument",)


@admin.register(BarImport)
class BarImportAdmin(ReadOnlyAdmin):
    list_display = (
        "source",
        "timeframe",
        "state",
        "rows",
        "written",
        "quarantined",
        "cursor",
        "started_at",
        "finished_at",
    )
    list_filter = ("state", "timeframe")
    search_fields = ("source",)


class DecisionForm(ActionForm):
    """The reason a decision is signed with, beside the choice of the action."""

    reason = forms.CharField(required=False, max_length=500, label="Reason (10 to 500 characters):")


@admin.register(QuarantinedBar)
class QuarantinedBarAdmin(ReadOnlyAdmin):
    list_display = ("instrument", "timeframe", "date", "rule", "detail", "status", "decided_by", "decided_at")
    list_filter = ("status", "rule", "timeframe", "source")
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol", "detail", "reason")
    action_form = DecisionForm
    actions = ("release", "reject")

    @admin.action(description="Release into the lake", permissions=["decide"])
    def release(self, request: HttpRequest, queryset: QuerySet[QuarantinedBar]) -> None:
        self._decide(request, queryset, release_bar)

    @admin.action(description="Reject for good", permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[QuarantinedBar]) -> None:
        self._decide(request, queryset, reject_bar)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("marketdata.change_quarantinedbar")

    def _decide(
        self, request: HttpRequest, queryset: QuerySet[QuarantinedBar], service: Callable[..., QuarantinedBar]
    ) -> None:
        operator, reason = request.user.get_username(), request.POST.get("reason", "")
        for bar in queryset:
            try:
                decided = service(bar=bar, operator=operator, reason=reason, wall_now=wall_now())
                self.message_user(
                    request, f"{decided.instrument.symbol} {decided.date}: {decided.status}", messages.SUCCESS
                )
            except MarketDataError as error:
                self.message_user(request, str(error), messages.ERROR)
