"""Addresses of the console, of its commands, of health and of the API."""

from django.contrib import admin
from django.urls import include, path

from ops_console import health
from ops_console.views import (
    alerts,
    auth,
    kill_switch,
    orders,
    overview,
    positions,
    reconciliation,
    risk,
    runs,
    slices,
)

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("equity.json", overview.equity_curve, name="equity-curve"),
    path("login", auth.LoginView.as_view(), name="login"),
    path("logout", auth.LogoutView.as_view(), name="logout"),
    path("orders/", orders.blotter, name="orders"),
    path("orders/cancel-all", orders.cancel_all, name="orders-cancel-all"),
    path("orders/<int:order_id>", orders.order, name="order"),
    path("orders/<int:order_id>/cancel", orders.cancel, name="order-cancel"),
    path("orders/slices/", slices.working, name="slices"),
    path("orders/slices/<int:parent_id>", slices.parent, name="parent"),
    path("orders/slices/<int:parent_id>/pause", slices.pause, name="parent-pause"),
    path("orders/slices/<int:parent_id>/resume", slices.resume, name="parent-resume"),
    path("orders/slices/<int:parent_id>/cancel", slices.cancel, name="parent-cancel"),
    path("positions/", positions.positions, name="positions"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<int:run_id>", runs.run, name="run"),
    path("risk/", risk.risk, name="risk"),
    path("risk/limits/set", risk.limit_set, name="limit-set"),
    path("risk/breaker/trip", risk.breaker_trip, name="breaker-trip"),
    path("risk/breaker/reset", risk.breaker_reset, name="breaker-reset"),
    path("reconciliation/", reconciliation.reconciliation, name="reconciliation"),
    path("reconciliation/run", reconciliation.run_now, name="reconciliation-run"),
    path("reconciliation/breaks/<int:break_id>", reconciliation.decide, name="reconciliation-decide"),
    path("reconciliation/force", reconciliation.force, name="reconciliation-force"),
    path("alerts/", alerts.alerts, name="alerts"),
    path("alerts/<int:alert_id>/acknowledge", alerts.acknowledge, name="alert-acknowledge"),
    path("kill-switch/consequence", kill_switch.consequence, name="kill-switch-consequence"),
    path("kill-switch/engage", kill_switch.engage, name="kill-switch-engage"),
    path("kill-switch/halts/<int:halt_id>/accept", kill_switch.accept_residue, name="kill-switch-accept"),
    path("kill-switch/release", kill_switch.request_release, name="kill-switch-release"),
    path("kill-switch/release/<int:request_id>/approve", kill_switch.approve_release, name="kill-switch-approve"),
    path("kill-switch/release/<int:request_id>/reject", kill_switch.reject_release, name="kill-switch-reject"),
    *health.urlpatterns,
    path("admin/", admin.site.urls),
    path("api/", include("ops_console.api.urls")),
    path("alpaca/", include("ops_console.alpaca_api.urls")),
]
