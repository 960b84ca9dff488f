"""Alerts: what is wrong, and who has seen it."""

from rest_framework.request import Request
from rest_framework.response import Response

from marketdata.clock import wall_now
from ops_console.api import fields
from ops_console.api.answers.alerts import AlertPageSerializer, AlertSerializer, alert_answer
from ops_console.api.base import ApiView, body_of, caller_of, query_of
from ops_console.api.codes import ProblemCode
from ops_console.api.openapi import documented
from ops_console.api.pagination import PAGE_FIELDS, newest_first
from ops_console.scopes import Scope
from risk.models import Alert
from risk.services.alerts import acknowledge_alert
from risk.states import AlertSeverity, AlertState

LIST_FIELDS: dict[str, fields.Field] = {
    "state": fields.choice(AlertState, "State of the alert."),
    "severity": fields.choice(AlertSeverity, "How grave it is."),
    **PAGE_FIELDS,
}
NO_FIELDS: dict[str, fields.Field] = {}


class AlertsView(ApiView):
    """Every alert, newest first."""

    @documented("alerts_list", "Alerts, newest first", query=LIST_FIELDS, answers={200: AlertPageSerializer})
    def get(self, request: Request) -> Response:
        """Return a page of alerts."""
        query = query_of(request, LIST_FIELDS)
        wanted = {name: query[name] for name in ("state", "severity") if query[name] is not None}
        page = newest_first(Alert.objects.filter(**wanted), limit=query["limit"], cursor=query["cursor"])
        return Response(page.body(alert_answer))


class AlertAcknowledgeView(ApiView):
    """Say that somebody has seen it."""

    scopes = {"POST": Scope.TRADE}

    @documented(
        "alerts_acknowledge",
        "Say that an alert was seen",
        description="It stays until its trouble is over; the second who acknowledges changes nothing.",
        body=NO_FIELDS,
        answers={200: AlertSerializer},
        problems=[ProblemCode.NOT_FOUND, ProblemCode.ALERT_OVER],
    )
    def post(self, request: Request, alert_id: int) -> Response:
        """Answer with the alert."""
        fields.read_fields(body_of(request), NO_FIELDS)
        alert = acknowledge_alert(alert_id=alert_id, operator=caller_of(request).username, now=wall_now())
        return Response(alert_answer(alert))
