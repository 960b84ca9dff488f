"""Alerts: what is wrong, since when, and who has seen it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from marketdata.clock import wall_now
from ops_console.permissions import Act, requires
from ops_console.views.filters import page_of
from ops_console.views.outcome import outcome
from risk.errors import AlertOver
from risk.models import Alert
from risk.services.alerts import acknowledge_alert
from risk.states import AlertSeverity, AlertState

UNRESOLVED = "unresolved"


@require_GET
@requires(Act.READ)
def alerts(request: HttpRequest) -> HttpResponse:
    """List alerts by the filters in the URL; those that are not over, unless others are asked for."""
    chosen = {"state": request.GET.get("state", UNRESOLVED), "severity": request.GET.get("severity", "")}
    rows = Alert.objects.order_by("-last_at", "-id")
    if chosen["state"] == UNRESOLVED:
        rows = rows.exclude(state=AlertState.RESOLVED)
    elif chosen["state"]:
        rows = rows.filter(state=chosen["state"])
    if chosen["severity"]:
        rows = rows.filter(severity=chosen["severity"])
    context = {
        "page": page_of(request, rows),
        "chosen": chosen,
        "states": [UNRESOLVED, *AlertState.values],
        "severities": AlertSeverity.values,
        "now": wall_now(),
    }
    return render(request, "ops_console/alerts.html", context)


@require_POST
@requires(Act.CANCEL)
def acknowledge(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Say that somebody has seen it."""
    try:
        alert = acknowledge_alert(alert_id=alert_id, operator=request.user.get_username(), now=wall_now())
    except AlertOver as error:
        return outcome(request, "bad", str(error), back="alerts", status=409)
    return outcome(request, "good", f"{alert.code}: seen by {alert.acknowledged_by}.", back="alerts")
