"""Overrides of limits in the admin: history, and the second person's word."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from marketdata.admin import ReadOnlyAdmin
from marketdata.clock import wall_now
from risk.admin.confirmation import ConfirmForm, Question, ReasonForm, ask
from risk.errors import RiskError
from risk.models import LimitOverride
from risk.services import overrides


@admin.register(LimitOverride)
class LimitOverrideAdmin(ReadOnlyAdmin):
    """Asked for over the API by one person; another approves it here or there."""

    list_display = (
        *("requested_at", "name", "strategy", "symbol", "value", "valid_from", "valid_until"),
        *("state", "requested_by", "decided_by", "revoked_by", "reason"),
    )
    list_filter = ("state", "name", "strategy")
    search_fields = ("name", "requested_by", "decided_by", "reason")
    date_hierarchy = "requested_at"
    actions = ("approve", "reject", "revoke")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may change limits."""
        return request.user.has_perm("risk.change_limit")

    @admin.action(description="Approve: let it count", permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[LimitOverride]) -> HttpResponse | None:
        """Let the chosen requests count, with this person as the second."""
        question = Question("Approve overrides", "They count from the next order on.", _lines(queryset), "Approve")

        def decide(row: LimitOverride, operator: str, _reason: str) -> None:
            overrides.approve_override(override_id=row.pk, operator=operator, now=wall_now())

        return self._act(request, queryset, question, decide, "approved", ConfirmForm)

    @admin.action(description="Turn down", permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[LimitOverride]) -> HttpResponse | None:
        """Close the chosen requests."""
        question = Question("Turn overrides down", "The limits stay as they are.", _lines(queryset), "Turn down")

        def decide(row: LimitOverride, operator: str, _reason: str) -> None:
            overrides.reject_override(override_id=row.pk, operator=operator, now=wall_now())

        return self._act(request, queryset, question, decide, "turned down", ConfirmForm)

    @admin.action(description="Take back before its time", permissions=["decide"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[LimitOverride]) -> HttpResponse | None:
        """End the chosen overrides."""
        question = Question("Take overrides back", "From the next order on the limits bind.", _lines(queryset), "End")

        def decide(row: LimitOverride, operator: str, reason: str) -> None:
            overrides.revoke_override(override_id=row.pk, operator=operator, reason=reason, now=wall_now())

        return self._act(request, queryset, question, decide, "taken back", ReasonForm)

    def _act(
        self,
        request: HttpRequest,
        queryset: QuerySet[LimitOverride],
        question: Question,
        decide: Callable[[LimitOverride, str, str], None],
        done: str,
        form_class: type[ConfirmForm],
    ) -> HttpResponse | None:
        filled, page = ask(self, request, question, queryset=queryset, form_class=form_class)
        if filled is None:
            return page
        for row in queryset:
            try:
                decide(row, request.user.get_username(), filled.get("reason", ""))
            except RiskError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.log_change(request, row, done)
                self.message_user(request, f"override {row.pk} {done}", messages.SUCCESS)
        return None


def _lines(queryset: QuerySet[Any]) -> list[str]:
    return [
        f"{row} until {row.valid_until:%Y-%m-%d %H:%M}, asked by {row.requested_by}: {row.reason}" for row in queryset
    ]
