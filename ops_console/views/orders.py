"""The blotter, an order explained, and cancels."""

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from execution.brokers.conversions import limit_at_broker
from execution.errors import OrderNotOpen
from execution.models import Account, Order, Strategy
from execution.services.cancels import cancel_open_orders, left_to_others, request_cancel
from marketdata.clock import wall_now
from ops_console.permissions import Act, requires
from ops_console.use import judged_uses
from ops_console.views.filters import STATUS_GROUPS, OrderFilter, orders_of, page_of, selected_account
from ops_console.views.outcome import outcome


@require_GET
@requires(Act.READ)
def blotter(request: HttpRequest) -> HttpResponse:
    """List orders by the filters in the URL."""
    account = selected_account(request)
    chosen = OrderFilter.of(request)
    page = page_of(request, orders_of(account, chosen.condition()))
    context = {
        "account": account,
        "page": page,
        "chosen": chosen,
        "groups": list(STATUS_GROUPS),
        "strategies": list(Strategy.objects.values_list("name", flat=True).order_by("name")),
        "accounts": list(Account.objects.values_list("name", flat=True).order_by("kind", "-id")[:30]),
        **({"open_count": 0, "others_count": 0} if account is None else _open_counts(account)),
    }
    return render(request, "ops_console/orders.html", context)


def _open_counts(account: Account) -> dict[str, int]:
    """Count what canceling all would cancel, and what it would leave to others."""
    others = left_to_others(account=account, orders=Q())
    everything = orders_of(account, Q(status__in=sorted(STATUS_GROUPS["open"]))).count()
    return {"open_count": everything - others, "others_count": others}


@require_GET
@requires(Act.READ)
def order(request: HttpRequest, order_id: int) -> HttpResponse:
    """Explain one order: what was wanted, what the gate compared, and everything that happened since."""
    related = ("account__feed", "strategy", "instrument", "decision", "parent")
    found = get_object_or_404(Order.objects.select_related(*related), pk=order_id)
    context = {
        "order": found,
        "events": list(found.events.order_by("sequence")),
        "fills": list(found.fills.order_by("id")),
        "case": found.decision.case,
        "denials": found.decision.denials,
        "uses": judged_uses(found.decision.case),
        "limit_at_broker": limit_at_broker(found),
    }
    return render(request, "ops_console/order.html", context)


@require_POST
@requires(Act.CANCEL)
def cancel(request: HttpRequest, order_id: int) -> HttpResponse:
    """Ask for the cancel of one order."""
    found = get_object_or_404(Order.objects.select_related("account__feed"), pk=order_id)
    try:
        canceled = request_cancel(
            order=found, operator=request.user.get_username(), wall_now=wall_now(), reason="asked for in the console"
        )
    except OrderNotOpen as error:
        return outcome(request, "bad", str(error), back="orders", status=409)
    text = "The order is canceled; it was never sent." if canceled.status == "canceled" else "The cancel is on its way."
    return outcome(request, "good", text, back="orders")


@require_POST
@requires(Act.CANCEL)
def cancel_all(request: HttpRequest) -> HttpResponse:
    """Ask for the cancel of every open order of the account, counted when it happens; others' only when asked for."""
    account = selected_account(request)
    if account is None:
        messages.error(request, "There is no account, so nothing was cancelled.")
        return redirect("orders")
    everything = "on" in (request.POST.get("everything"), request.GET.get("everything"))
    unsent, asked, _ids = cancel_open_orders(
        orders=Q(),
        account=account,
        operator=request.user.get_username(),
        wall_now=wall_now(),
        reason="cancel all, asked for in the console",
        everything=everything,
    )
    left = 0 if everything else left_to_others(account=account, orders=Q())
    text = f"{unsent + asked} open orders: {unsent} canceled before they were sent, {asked} cancels on their way."
    if left:
        text += f" {left} orders of others at the broker were left alone."
    return outcome(request, "good", text, back="orders")
