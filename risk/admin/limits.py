"""Limits and the restricted list; every change goes through the service that says who and why."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from marketdata.admin import ReadOnlyAdmin
from marketdata.clock import wall_now
from risk.admin.confirmation import ConfirmForm, Question, ask
from risk.limits import SETTABLE
from risk.models import Limit, LimitChange, RestrictedInstrument
from risk.selectors import settable_defaults
from risk.services.limits import lift_restriction, restrict_instrument, set_limit
from risk.services.reasons import LONGEST, SHORTEST


def reason_field() -> forms.CharField:
    """Make the field that every change is explained in."""
    return forms.CharField(
        min_length=SHORTEST,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 80}),
        help_text=f"{SHORTEST} to {LONGEST} characters; stored with the change for good",
    )


class LimitForm(forms.ModelForm[Limit]):
    """A value and why."""

    reason = reason_field()

    class Meta:
        model = Limit
        fields = ("name", "strategy", "symbol", "value")

    def clean(self) -> dict[str, Any]:
        """Refuse what the service would refuse, beside the field."""
        cleaned = super().clean() or self.cleaned_data
        definition = SETTABLE.get(cleaned.get("name") or self.instance.name)
        value = cleaned.get("value")
        if definition is not None and value is not None and not definition.minimum <= value <= definition.maximum:
            self.add_error("value", f"allowed is {definition.minimum:f} to {definition.maximum:f} {definition.unit}")
        return cleaned


@admin.register(Limit)
class LimitAdmin(admin.ModelAdmin[Limit]):
    """Overrides of the defaults; a default itself changes by adding an override for all."""

    form = LimitForm
    list_display = ("name", "strategy", "symbol", "shown_value", "unit", "default")
    list_filter = ("name", "strategy")
    search_fields = ("name", "strategy", "symbol")
    actions = ("back_to_default",)

    @admin.display(description="value", ordering="value")
    def shown_value(self, limit: Limit) -> str:
        """Return the value without trailing zeros."""
        return plain(limit.value)

    @admin.display(description="unit")
    def unit(self, limit: Limit) -> str:
        """Return what the value counts."""
        return SETTABLE[limit.name].unit

    @admin.display(description="default")
    def default(self, limit: Limit) -> str:
        """Return what would be in force without any override."""
        return plain(settable_defaults()[limit.name])

    @admin.display(description="in force now")
    def before(self, limit: Limit) -> str:
        """Return the stored value, beside the field for the new one."""
        return f"{plain(limit.value)} {SETTABLE[limit.name].unit}"

    def get_fields(self, request: HttpRequest, obj: Limit | None = None) -> Any:
        """Show what is in force above the new value."""
        return ("name", "strategy", "symbol", *(("before",) if obj else ()), "value", "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Limit | None = None) -> Any:
        """Keep what an existing override is about."""
        return ("name", "strategy", "symbol", "before") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Limit | None = None) -> bool:
        """Refuse: the action takes an override away with a reason."""
        return False

    def has_reset_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may take overrides away."""
        return request.user.has_perm("risk.delete_limit")

    def save_model(self, request: HttpRequest, obj: Limit, form: Any, change: bool) -> None:
        """Set the limit through the service, and tell before and after."""
        done = set_limit(
            name=obj.name,
            value=obj.value,
            strategy=obj.strategy,
            symbol=obj.symbol,
            operator=request.user.get_username(),
            reason=form.cleaned_data["reason"],
            now=wall_now(),
        )
        obj.pk = Limit.objects.values_list("pk", flat=True).get(name=obj.name, strategy=obj.strategy, symbol=obj.symbol)
        self.message_user(request, told(done), messages.SUCCESS)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Put the reason into the admin's log as well."""
        message = super().construct_change_message(request, form, formsets, add)
        return [*message, {"changed": {"fields": [f"reason: {form.cleaned_data['reason']}"]}}]

    @admin.action(description="Back to the default", permissions=["reset"])
    def back_to_default(self, request: HttpRequest, queryset: QuerySet[Limit]) -> HttpResponse | None:
        """Take the chosen overrides away, with a reason."""
        rows = list(queryset)
        defaults = settable_defaults()
        lines = [f"{row}: back to {plain(defaults[row.name])}" for row in rows]
        question = Question("Back to the default", "From the next order on the defaults bind.", lines, "Take away")
        filled, page = ask(self, request, question, queryset=queryset)
        if filled is None:
            return page
        for row in rows:
            self.log_deletions(request, Limit.objects.filter(pk=row.pk))
            done = set_limit(
                name=row.name,
                value=None,
                strategy=row.strategy,
                symbol=row.symbol,
                operator=request.user.get_username(),
                reason=filled["reason"],
                now=wall_now(),
            )
            self.message_user(request, told(done), messages.SUCCESS)
        return None


@admin.register(LimitChange)
class LimitChangeAdmin(ReadOnlyAdmin):
    """Who changed what and why; the newest id is the version of all limits."""

    list_display = ("at", "name", "strategy", "symbol", "old_value", "new_value", "operator", "reason")
    list_filter = ("name", "strategy")
    search_fields = ("name", "operator", "reason")
    date_hierarchy = "at"


class RestrictionForm(forms.ModelForm[RestrictedInstrument]):
    """A name and why."""

    reason = reason_field()

    class Meta:
        model = RestrictedInstrument
        fields = ("instrument", "reason")


@admin.register(RestrictedInstrument)
class RestrictedInstrumentAdmin(admin.ModelAdmin[RestrictedInstrument]):
    """Names that can only be reduced; lifted ones stay as history."""

    form = RestrictionForm
    list_display = ("instrument", "reason", "operator", "at", "lifted_by", "lifted_at")
    list_filter = (("lifted_at", admin.EmptyFieldListFilter),)
    list_select_related = ("instrument",)
    search_fields = ("instrument__symbol", "reason", "operator")
    autocomplete_fields = ("instrument",)
    date_hierarchy = "at"
    actions = ("lift",)

    def has_change_permission(self, request: HttpRequest, obj: RestrictedInstrument | None = None) -> bool:
        """Refuse: a restriction is lifted, not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: RestrictedInstrument | None = None) -> bool:
        """Refuse: it is history."""
        return False

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may lift restrictions."""
        return request.user.has_perm("risk.change_restrictedinstrument")

    def save_model(self, request: HttpRequest, obj: RestrictedInstrument, form: Any, change: bool) -> None:
        """Restrict through the service."""
        row = restrict_instrument(
            instrument=obj.instrument, operator=request.user.get_username(), reason=obj.reason, now=wall_now()
        )
        obj.pk = row.pk

    @admin.action(description="Lift the restriction", permissions=["lift"])
    def lift(self, request: HttpRequest, queryset: QuerySet[RestrictedInstrument]) -> HttpResponse | None:
        """Take the chosen names off the list."""
        rows = list(queryset.filter(lifted_at=None).select_related("instrument"))
        question = Question(
            "Lift restrictions",
            "These names can be bought and shorted again from the next order on.",
            [f"{row.instrument.symbol}: {row.reason}" for row in rows],
            "Lift",
        )
        filled, page = ask(self, request, question, queryset=queryset, form_class=ConfirmForm)
        if filled is None:
            return page
        for row in rows:
            lift_restriction(restriction=row, operator=request.user.get_username(), now=wall_now())
            self.log_change(request, row, "lifted")
        self.message_user(request, f"{len(rows)} restrictions lifted", messages.SUCCESS)
        return None


def plain(value: Decimal) -> str:
    """Return a number without exponent and trailing zeros."""
    return f"{value.normalize():f}"


def told(change: LimitChange) -> str:
    """Say a change of a limit in a line."""
    old, new = ("default" if value is None else plain(value) for value in (change.old_value, change.new_value))
    return f"limit {change.name} ({change.strategy or '*'}, {change.symbol or '*'}): {old} → {new}"
