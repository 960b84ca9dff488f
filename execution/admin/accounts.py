"""Accounts and strategies: from here trading is stopped and breakers are tripped and reset."""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from execution.admin.columns import money, shares
from execution.models import Account, AccountDay, Order, Strategy, StrategyDay
from execution.reconciliation.strangers import set_strangers
from execution.services.halt import engage_kill_switch
from execution.states import OPEN
from marketdata.admin import ReadOnlyAdmin
from marketdata.clock import wall_now
from risk.admin.confirmation import Question, ask
from risk.errors import RiskError
from risk.models import GLOBAL_SCOPE, KillSwitchEvent
from risk.services import breaker

SOURCE = KillSwitchEvent.Source.ADMIN


def may_engage(request: HttpRequest) -> bool:
    """Tell whether the person may stop trading."""
    return request.user.has_perm("risk.add_killswitchevent")


def stop_trading(model_admin: Any, request: HttpRequest, *, scope: str, reason: str) -> None:
    """Engage one scope and tell what became of its open orders."""
    report = engage_kill_switch(
        scope=scope, operator=request.user.get_username(), reason=reason, source=SOURCE, wall_now=wall_now()
    )
    model_admin.message_user(
        request,
        f"{scope} engaged: {report.canceled_unsent} orders canceled before they were sent, "
        f"{report.cancel_requested} to be canceled at the broker",
        messages.WARNING,
    )


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """Accounts are opened by the platform; what is done to them goes through services."""

    list_display = (
        "name",
        "mode",
        "kind",
        "feed",
        money("cash"),
        "margin_multiplier",
        "reconciliation",
        "reconciled_at",
        "strangers",
    )
    list_filter = ("kind", "mode", "reconciliation")
    list_select_related = ("feed",)
    search_fields = ("name", "account_number")
    date_hierarchy = "created_at"
    change_list_template = "admin/execution/account/change_list.html"
    actions = ("engage", "trip", "reset", "adopt_strangers", "quarantine_strangers")

    def get_urls(self) -> list[URLPattern]:
        """Add the page that stops everything."""
        stop = path("stop/", self.admin_site.admin_view(self.stop_everything), name="execution_account_stop")
        return [stop, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the button that stops everything to those who may."""
        return super().changelist_view(request, {"may_engage": may_engage(request), **(extra_context or {})})

    def has_engage_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may stop trading."""
        return may_engage(request)

    def has_trip_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may trip breakers."""
        return request.user.has_perm("risk.add_breakerevent")

    def has_reset_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may reset breakers."""
        return request.user.has_perm("risk.change_breakerevent")

    def stop_everything(self, request: HttpRequest) -> HttpResponse:
        """Engage the global kill switch."""
        if not may_engage(request):
            return HttpResponse("your role does not allow to stop trading", status=403)
        question = Question(
            "Stop all trading",
            f"No order passes any more, and {_open_orders()} open orders are canceled. Going on takes two people.",
            (),
            "Stop everything",
        )
        filled, page = ask(self, request, question)
        if filled is None and page is not None:
            return page
        stop_trading(self, request, scope=GLOBAL_SCOPE, reason=(filled or {})["reason"])
        return HttpResponseRedirect(reverse("admin:execution_account_changelist"))

    @admin.action(description="Stop trading (engage the kill switch)", permissions=["engage"])
    def engage(self, request: HttpRequest, queryset: QuerySet[Account]) -> HttpResponse | None:
        """Engage the kill switch of the chosen accounts."""
        question = Question(
            "Stop trading in accounts",
            f"No order of theirs passes any more, and {_open_orders(account__in=queryset)} open orders are canceled. "
            "To go on, two people are needed.",
            [account.name for account in queryset],
            "Stop trading",
        )
        return _for_each(
            self,
            request,
            queryset,
            question,
            lambda account, reason: stop_trading(self, request, scope=account.scope, reason=reason),
        )

    @admin.action(description="Trip the breaker", permissions=["trip"])
    def trip(self, request: HttpRequest, queryset: QuerySet[Account]) -> HttpResponse | None:
        """Let only reducing orders pass in the chosen accounts."""
        question = Question(
            "Trip breakers",
            "Only orders that reduce a position pass from now on; open orders stay.",
            [account.name for account in queryset],
            "Trip",
        )
        operator = request.user.get_username()
        return _for_each(
            self,
            request,
            queryset,
            question,
            lambda account, reason: breaker.trip(scope=account.scope, reason=reason, operator=operator, now=wall_now()),
        )

    @admin.action(description="Reset the breaker", permissions=["reset"])
    def reset(self, request: HttpRequest, queryset: QuerySet[Account]) -> HttpResponse | None:
        """Begin the quiet period in the chosen accounts."""
        question = Question(
            "Reset breakers",
            "After a quiet period of five minutes all orders pass the breaker again.",
            [account.name for account in queryset],
            "Reset",
        )
        operator = request.user.get_username()
        return _for_each(
            self,
            request,
            queryset,
            question,
            lambda account, reason: breaker.reset(
                scope=account.scope, reason=reason, operator=operator, now=wall_now()
            ),
        )

    @admin.action(description="Adopt orders and positions of others", permissions=["reset"])
    def adopt_strangers(self, request: HttpRequest, queryset: QuerySet[Account]) -> HttpResponse | None:
        """Take what others do at the broker into the book from now on."""
        return self._strangers(request, queryset, Account.Strangers.ADOPT)

    @admin.action(description="Quarantine orders and positions of others", permissions=["reset"])
    def quarantine_strangers(self, request: HttpRequest, queryset: QuerySet[Account]) -> HttpResponse | None:
        """Refuse what others do at the broker from now on, and close the account when they do."""
        return self._strangers(request, queryset, Account.Strangers.QUARANTINE)

    def _strangers(
        self, request: HttpRequest, queryset: QuerySet[Account], policy: Account.Strangers
    ) -> HttpResponse | None:
        question = Question(
            f"Others at the broker: {policy.value}",
            f"Orders and positions that nobody of ours wanted are {policy.label} from now on; none is ever canceled.",
            [account.name for account in queryset],
            policy.value.capitalize(),
        )
        operator = request.user.get_username()
        return _for_each(
            self,
            request,
            queryset,
            question,
            lambda account, reason: set_strangers(
                account=account, policy=policy, operator=operator, reason=reason, wall_now=wall_now()
            ),
        )


@admin.register(Strategy)
class StrategyAdmin(admin.ModelAdmin[Strategy]):
    """Strategies share the account; switching one off keeps its positions."""

    list_display = ("name", "enabled", "scheduled", "capital_share", "description")
    list_filter = ("enabled", "scheduled")
    search_fields = ("name", "description")
    actions = ("engage",)

    def get_readonly_fields(self, request: HttpRequest, obj: Strategy | None = None) -> Any:
        """Keep the name of a strategy: orders and switches carry it."""
        return ("name",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Strategy | None = None) -> bool:
        """Refuse: its orders and positions stay."""
        return False

    def has_engage_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may stop trading."""
        return may_engage(request)

    @admin.action(description="Stop trading (engage the kill switch)", permissions=["engage"])
    def engage(self, request: HttpRequest, queryset: QuerySet[Strategy]) -> HttpResponse | None:
        """Engage the kill switch of the chosen strategies."""
        question = Question(
            "Stop strategies",
            f"No order of theirs passes any more, and {_open_orders(strategy__in=queryset)} open orders are canceled. "
            "To go on, two people are needed.",
            [strategy.name for strategy in queryset],
            "Stop trading",
        )
        return _for_each(
            self,
            request,
            queryset,
            question,
            lambda strategy, reason: stop_trading(self, request, scope=f"strategy:{strategy.name}", reason=reason),
        )


DAY_MONEY: Sequence[Callable[[Model], str]] = tuple(
    money(name)
    for name in ("pnl", "realized_pnl", "unrealized_pnl", "fees", "dividends", "gross_exposure", "net_exposure")
)


@admin.register(AccountDay)
class AccountDayAdmin(ReadOnlyAdmin):
    """How each session closed for the account."""

    list_display = ("date", "account", money("equity"), money("cash"), *DAY_MONEY, "order_count", "fill_count")
    list_filter = ("account",)
    list_select_related = ("account",)
    date_hierarchy = "date"
    ordering = ("-date", "account")


@admin.register(StrategyDay)
class StrategyDayAdmin(ReadOnlyAdmin):
    """How each session closed for each strategy."""

    list_display = ("date", "account", "strategy", *DAY_MONEY, shares("turnover"), "order_count", "fill_count")
    list_filter = ("strategy", "account")
    list_select_related = ("account", "strategy")
    date_hierarchy = "date"
    ordering = ("-date", "account", "strategy")


def _open_orders(**filters: Any) -> int:
    return Order.objects.filter(status__in=sorted(OPEN), **filters).count()


def _for_each(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    queryset: QuerySet[Any],
    question: Question,
    act: Callable[[Any, str], object],
) -> HttpResponse | None:
    """Ask, then act on each chosen row; what a service refuses is told and stops nothing else."""
    filled, page = ask(model_admin, request, question, queryset=queryset)
    if filled is None:
        return page
    for row in queryset:
        try:
            act(row, filled["reason"])
        except RiskError as error:
            model_admin.message_user(request, f"{row}: {error}", messages.ERROR)
        else:
            model_admin.log_change(request, row, f"{question.title}: {filled['reason']}")
            model_admin.message_user(request, f"{row}: done", messages.SUCCESS)
    return None
