"""Addresses of the Alpaca-compatible API, below `/alpaca/`."""

from django.urls import path, re_path

from ops_console.alpaca_api.views import account, market, nothing, orders

urlpatterns = [
    path("v2/orders", orders.OrdersView.as_view()),
    path("v2/orders:by_client_order_id", orders.OrderByClientIdView.as_view()),
    path("v2/orders/<str:order_id>", orders.OrderView.as_view()),
    path("v2/account", account.AccountView.as_view()),
    path("v2/account/configurations", account.ConfigurationsView.as_view()),
    path("v2/clock", market.ClockView.as_view()),
    path("v2/calendar", market.CalendarView.as_view()),
    path("v2/assets", market.AssetsView.as_view()),
    path("v2/assets/<str:symbol>", market.AssetView.as_view()),
    re_path(r"^", nothing.NothingHere.as_view()),
]
