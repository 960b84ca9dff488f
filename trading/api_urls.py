"""Addresses of the API process: programs only, no pages."""

from django.urls import include, path

from ops_console import health

urlpatterns = [
    path("api/", include("ops_console.api.urls")),
    path("alpaca/", include("ops_console.alpaca_api.urls")),
    *health.urlpatterns,
]
