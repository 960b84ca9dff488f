"""API tokens: made where their key can be shown once, closed here."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from marketdata.admin import ReadOnlyAdmin
from marketdata.clock import wall_now
from ops_console.models import ApiToken
from ops_console.services.tokens import revoke_token
from risk.admin.confirmation import ConfirmForm, Question, ask


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Who holds a key, what it may do, when it was used."""

    list_display = (
        "token_id",
        "user",
        "name",
        "scope",
        "strategy",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = ("scope", ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("user", "strategy")
    search_fields = ("token_id", "name", "user__username")
    date_hierarchy = "created_at"
    exclude = ("digest",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person keeps the keys."""
        return request.user.has_perm("ops_console.change_apitoken")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> HttpResponse | None:
        """Close the chosen keys for good."""
        rows = list(queryset.filter(revoked_at=None).select_related("user"))
        question = Question(
            "Revoke keys",
            "Programs that use them are turned away from the next request on, for good.",
            [f"{row} of {row.user}" for row in rows],
            "Revoke",
        )
        filled, page = ask(self, request, question, queryset=queryset, form_class=ConfirmForm)
        if filled is None:
            return page
        for row in rows:
            if revoke_token(token=row, now=wall_now()):
                self.log_change(request, row, "revoked")
        self.message_user(request, f"{len(rows)} keys revoked", messages.SUCCESS)
        return None
