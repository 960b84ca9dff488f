"""Addresses of the API, below `/api/`."""

from django.urls import path, re_path

from ops_console.api.views import (
    alerts,
    controls,
    limits,
    market,
    orders,
    positions,
    reference,
    runs,
    subscriptions,
    webhooks,
)

ORDER = r"^v1/orders/(?P<client_order_id>[A-Za-z0-9._:-]{1,128})"

urlpatterns = [
    path("v1/orders", orders.OrdersView.as_view()),
    path("v1/orders/preview", orders.PreviewView.as_view()),
    path("v1/orders/cancel-all", orders.CancelAllView.as_view()),
    re_path(ORDER + r"$", orders.OrderView.as_view()),
    re_path(ORDER + r"/events$", orders.OrderEventsView.as_view()),
    re_path(ORDER + r"/explain$", orders.OrderExplainView.as_view()),
    re_path(ORDER + r"/cancel$", orders.OrderCancelView.as_view()),
    path("v1/positions", positions.PositionsView.as_view()),
    path("v1/positions/pnl/realtime", positions.RealtimePnlView.as_view()),
    path("v1/positions/<str:symbol>/close", positions.ClosePositionView.as_view()),
    path("v1/performance/daily", positions.DailyPerformanceView.as_view()),
    path("v1/account", positions.AccountView.as_view()),
    path("v1/kill-switch/status", controls.KillSwitchStatusView.as_view()),
    path("v1/kill-switch/engage", controls.KillSwitchEngageView.as_view()),
    path("v1/kill-switch/disengage", controls.KillSwitchDisengageView.as_view()),
    path("v1/circuit-breaker/status", controls.BreakerStatusView.as_view()),
    path("v1/circuit-breaker/trip", controls.BreakerTripView.as_view()),
    path("v1/circuit-breaker/reset", controls.BreakerResetView.as_view()),
    path("v1/limits", limits.LimitsView.as_view()),
    path("v1/fat-finger/thresholds", limits.FatFingerView.as_view()),
    path("v1/risk/summary", limits.RiskSummaryView.as_view()),
    path("v1/runs", runs.RunsView.as_view()),
    path("v1/runs/<int:run_id>", runs.RunView.as_view()),
    path("v1/strategies", runs.StrategiesView.as_view()),
    path("v1/strategies/<slug:name>", runs.StrategyView.as_view()),
    path("v1/quotes/latest", market.QuotesView.as_view()),
    path("v1/bars", market.BarsView.as_view()),
    path("v1/subscriptions", subscriptions.SubscriptionsView.as_view()),
    path("v1/subscriptions/stats", subscriptions.SubscriptionStatsView.as_view()),
    path("v1/subscriptions/<str:symbol>", subscriptions.SubscriptionView.as_view()),
    path("v1/alerts", alerts.AlertsView.as_view()),
    path("v1/alerts/<int:alert_id>/acknowledge", alerts.AlertAcknowledgeView.as_view()),
    path("v1/webhooks/orders", webhooks.OrderWebhookView.as_view()),
    path("v1/schema/", reference.schema),
    path("v1/docs/", reference.docs),
    re_path(r"^", reference.NothingHere.as_view()),
]
