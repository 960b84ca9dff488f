"""The line to a broker and everything it has told: written by the processes, read by people."""

from django.contrib import admin

from execution.admin.columns import shares
from execution.models import BrokerLink, BrokerMessage
from marketdata.admin import ReadOnlyAdmin


@admin.register(BrokerLink)
class BrokerLinkAdmin(ReadOnlyAdmin):
    """Who answers at an account's broker, and how the line is now."""

    list_display = (
        "account",
        "pinned_account_number",
        "stream",
        "stream_since",
        "stream_problem",
        "heard_at",
        "polled_at",
        "poll_problem",
        "trading_blocked",
        "suspended",
        "identity_problem",
    )
    list_filter = ("stream", "trading_blocked", "suspended")
    list_select_related = ("account",)
    search_fields = ("account__name", "pinned_account_number")


@admin.register(BrokerMessage)
class BrokerMessageAdmin(ReadOnlyAdmin):
    """The inbox: each fact once, whichever way it came first. What has no kind is no report, and kept for people."""

    list_display = (
        "received_at",
        "account",
        "sequence",
        "source",
        "kind",
        "client_order_id",
        shares("quantity"),
        shares("price"),
        shares("cumulative_quantity"),
        "reason",
    )
    list_filter = ("source", "kind", "account")
    list_select_related = ("account",)
    search_fields = ("client_order_id", "broker_order_id", "broker_execution_id", "key")
    date_hierarchy = "received_at"
    show_full_result_count = False
