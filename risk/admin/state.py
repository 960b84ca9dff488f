"""Kill switch, release requests, breaker and decisions."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from marketdata.admin import ReadOnlyAdmin
from marketdata.clock import wall_now
from risk.admin.confirmation import ConfirmForm, Question, ask
from risk.errors import RiskError
from risk.models import BreakerEvent, Decision, KillSwitchEvent, ReleaseRequest
from risk.services import kill_switch

SOURCE = KillSwitchEvent.Source.ADMIN


@admin.register(KillSwitchEvent)
class KillSwitchEventAdmin(ReadOnlyAdmin):
    """Every turn of the switch; a release begins here, and another person ends it."""

    list_display = ("at", "scope", "engaged", "operator", "second_operator", "source", "reason")
    list_filter = ("engaged", "scope", "source")
    search_fields = ("operator", "second_operator", "reason")
    date_hierarchy = "at"
    actions = ("ask_for_release",)

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may let trading go on."""
        return request.user.has_perm("risk.change_releaserequest")

    @admin.action(description="Ask for a release of the chosen scopes", permissions=["release"])
    def ask_for_release(self, request: HttpRequest, queryset: QuerySet[KillSwitchEvent]) -> HttpResponse | None:
        """Make a request for each scope; nothing is released before another operator approves."""
        scopes = sorted(set(queryset.values_list("scope", flat=True)))
        question = Question(
            "Ask for a release",
            f"Another operator has to approve within 15 minutes; until then {len(scopes)} scopes stay stopped.",
            scopes,
            "Ask",
        )
        filled, page = ask(self, request, question, queryset=queryset)
        if filled is None:
            return page
        for scope in scopes:
            try:
                asked = kill_switch.request_release(
                    scope=scope, operator=request.user.get_username(), reason=filled["reason"], now=wall_now()
                )
                self.message_user(request, f"request {asked.pk} for {scope} waits for another operator")
            except RiskError as error:
                self.message_user(request, str(error), messages.ERROR)
        return None


@admin.register(ReleaseRequest)
class ReleaseRequestAdmin(ReadOnlyAdmin):
    """Who asks may not approve."""

    list_display = ("requested_at", "scope", "requested_by", "state", "expires_at", "decided_by", "reason")
    list_filter = ("state", "scope")
    search_fields = ("requested_by", "decided_by", "reason")
    date_hierarchy = "requested_at"
    actions = ("approve", "reject")

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may let trading go on."""
        return request.user.has_perm("risk.change_releaserequest")

    @admin.action(description="Approve: let trading go on", permissions=["release"])
    def approve(self, request: HttpRequest, queryset: QuerySet[ReleaseRequest]) -> HttpResponse | None:
        """Release the scopes of the chosen requests, with this person as the second."""
        question = Question(
            "Approve a release", "Orders pass the gate again at once.", _asked(queryset), "Let trading go on"
        )

        def release(row: ReleaseRequest, operator: str) -> str:
            kill_switch.approve_release(request_id=row.pk, operator=operator, source=SOURCE, now=wall_now())
            return f"{row.scope} released by {row.requested_by} and {operator}"

        return self._decide(request, queryset, question, release)

    @admin.action(description="Turn down", permissions=["release"])
    def reject(self, request: HttpRequest, queryset: QuerySet[ReleaseRequest]) -> HttpResponse | None:
        """Close the chosen requests; the scopes stay stopped."""
        question = Question("Turn a release down", "The scopes stay stopped.", _asked(queryset), "Turn down")

        def refuse(row: ReleaseRequest, operator: str) -> str:
            kill_switch.reject_release(request_id=row.pk, operator=operator, now=wall_now())
            return f"request {row.pk} turned down"

        return self._decide(request, queryset, question, refuse)

    def _decide(
        self,
        request: HttpRequest,
        queryset: QuerySet[ReleaseRequest],
        question: Question,
        decide: Callable[[ReleaseRequest, str], str],
    ) -> HttpResponse | None:
        filled, page = ask(self, request, question, queryset=queryset, form_class=ConfirmForm)
        if filled is None:
            return page
        for row in queryset:
            try:
                done = decide(row, request.user.get_username())
            except RiskError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.log_change(request, row, done)
                self.message_user(request, done, messages.SUCCESS)
        return None


def _asked(queryset: QuerySet[ReleaseRequest]) -> list[str]:
    return [f"{row.scope}, asked by {row.requested_by}: {row.reason}" for row in queryset]


@admin.register(BreakerEvent)
class BreakerEventAdmin(ReadOnlyAdmin):
    """Every change of a breaker; to trip or reset one, choose its account."""

    list_display = ("at", "scope", "state", "cause", "operator", "quiet_until", "reason")
    list_filter = ("state", "cause", "scope")
    search_fields = ("scope", "operator", "reason")
    date_hierarchy = "at"


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """What the gate said, with all it knew."""

    list_display = ("created_at", "account", "strategy", "symbol", "outcome", "codes", "market_at")
    list_filter = ("outcome", "strategy")
    search_fields = ("symbol", "account", "codes")
    show_full_result_count = False  # the largest table after the events: counting it twice a page is felt
