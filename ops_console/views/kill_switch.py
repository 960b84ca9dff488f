"""The kill switch from the console: one step to stop, two people to release."""

from decimal import Decimal

from django.db.models import F, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from execution.models import Order
from execution.services.halt import engage_kill_switch
from execution.states import OPEN
from marketdata.clock import wall_now
from ops_console.permissions import Act, requires
from ops_console.views.outcome import outcome
from risk.errors import RiskError
from risk.models import GLOBAL_SCOPE, KillSwitchEvent
from risk.services import kill_switch

CONSOLE = KillSwitchEvent.Source.CONSOLE
RELEASE_WORD = "RELEASE"
SHOWN_ORDERS = 5


@require_GET
@requires(Act.READ)
def consequence(request: HttpRequest) -> HttpResponse:
    """Count what engaging would cancel, at the moment of asking."""
    scope = request.GET.get("scope", GLOBAL_SCOPE)
    orders = Order.objects.filter(orders_in(scope), status__in=sorted(OPEN))
    left = F("quantity") - F("filled_quantity")
    totals = orders.aggregate(value=Sum(left * F("reserve_price")))
    context = {
        "count": orders.count(),
        "value": totals["value"] or Decimal(0),
        "orders": list(orders.select_related("instrument", "strategy", "account").order_by("-id")[:SHOWN_ORDERS]),
        "scope": scope,
    }
    return render(request, "ops_console/panels/consequence.html", context)


def orders_in(scope: str) -> Q:
    """Return the condition of the orders that a scope stops."""
    kind, _, name = scope.partition(":")
    if kind == "account":
        return Q(account__name=name)
    return Q(strategy__name=name) if kind == "strategy" else Q()


@require_POST
@requires(Act.ENGAGE)
def engage(request: HttpRequest) -> HttpResponse:
    """Stop trading, then cancel what is open; says what was cancelled."""
    scope = request.POST.get("scope", GLOBAL_SCOPE)
    try:
        report = engage_kill_switch(
            scope=scope,
            operator=request.user.get_username(),
            reason=request.POST.get("reason", ""),
            source=CONSOLE,
            wall_now=wall_now(),
        )
    except RiskError as error:
        return outcome(request, "bad", f"Nothing was stopped: {error}", back="overview", status=400)
    again = "It was engaged already; open orders were cancelled again."
    details = _canceled(report.canceled_unsent, report.cancel_requested)
    text = again if report.already_engaged else "Trading is stopped."
    return outcome(request, "good", text, back="overview", details=details)


def _canceled(unsent: int, asked: int) -> list[str]:
    if not unsent + asked:
        return ["No order was open."]
    lines = []
    if unsent:
        lines.append(f"{unsent} canceled before {'it was' if unsent == 1 else 'they were'} sent.")
    if asked:
        lines.append(f"{asked} {'cancel is' if asked == 1 else 'cancels are'} on the way to the broker.")
    return lines


@require_POST
@requires(Act.RELEASE)
def request_release(request: HttpRequest) -> HttpResponse:
    """Ask for a release; nothing changes before another operator approves."""
    if request.POST.get("word", "") != RELEASE_WORD:
        text = f"Nothing was asked: the word typed is not {RELEASE_WORD}."
        return outcome(request, "bad", text, back="risk", status=400)
    try:
        asked = kill_switch.request_release(
            scope=request.POST.get("scope", GLOBAL_SCOPE),
            operator=request.user.get_username(),
            reason=request.POST.get("reason", ""),
            now=wall_now(),
        )
    except RiskError as error:
        return outcome(request, "bad", str(error), back="risk", status=409)
    text = f"Asked for. Another operator has to approve it before {asked.expires_at:%H:%M:%S} UTC."
    return outcome(request, "good", text, back="risk")


@require_POST
@requires(Act.RELEASE)
def approve_release(request: HttpRequest, request_id: int) -> HttpResponse:
    """Release the switch as the second person."""
    try:
        event = kill_switch.approve_release(
            request_id=request_id, operator=request.user.get_username(), source=CONSOLE, now=wall_now()
        )
    except RiskError as error:
        return outcome(request, "bad", str(error), back="risk", status=409)
    return outcome(request, "good", f"Released: {event.scope} may trade again.", back="risk")


@require_POST
@requires(Act.RELEASE)
def reject_release(request: HttpRequest, request_id: int) -> HttpResponse:
    """Turn a request down."""
    try:
        kill_switch.reject_release(request_id=request_id, operator=request.user.get_username(), now=wall_now())
    except RiskError as error:
        return outcome(request, "bad", str(error), back="risk", status=409)
    return outcome(request, "good", "Turned down; the kill switch stays engaged.", back="risk")
