"""Addresses of the Alpaca-compatible API, below `/alpaca/`."""

from django.urls import path, re_path

from ops_console.alpaca_api.views import account, activities, data, market, nothing, orders, positions

urlpatterns = [
    path("v2/orders", orders.OrdersView.as_view()),
    path("v2/orders:by_client_order_id", orders.OrderByClientIdView.as_view()),
    path("v2/orders/<str:order_id>", orders.OrderView.as_view()),
    path("v2/positions", positions.PositionsView.as_view()),
    path("v2/positions/<str:symbol>", positions.PositionView.as_view()),
    path("v2/account", account.AccountView.as_view()),
    path("v2/account/configurations", account.ConfigurationsView.as_view()),
    path("v2/account/activities", activities.ActivitiesView.as_view()),
    path("v2/account/activities/<str:kind>", activities.ActivitiesView.as_view()),
    path("v2/account/portfolio/history", activities.PortfolioHistoryView.as_view()),
    path("v2/clock", market.ClockView.as_view()),
    path("v2/calendar", market.CalendarView.as_view()),
    path("v2/assets", market.AssetsView.as_view()),
    path("v2/assets/<str:symbol>", market.AssetView.as_view()),
    path("v2/watchlists", nothing.WatchlistsView.as_view()),
    path("v2/watchlists/<path:rest>", nothing.WatchlistView.as_view()),
    path("v2/options/contracts", nothing.OptionContractsView.as_view()),
    path("v2/stocks/bars", data.BarsView.as_view()),
    path("v2/stocks/bars/latest", data.LatestBarsView.as_view()),
    path("v2/stocks/quotes", data.NoHistoryView.as_view()),
    path("v2/stocks/quotes/latest", data.LatestQuotesView.as_view()),
    path("v2/stocks/trades", data.NoHistoryView.as_view()),
    path("v2/stocks/trades/latest", data.LatestTradesView.as_view()),
    path("v2/stocks/snapshots", data.SnapshotsView.as_view()),
    re_path(r"^", nothing.NothingHere.as_view()),
]
