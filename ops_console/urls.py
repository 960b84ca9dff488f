"""Addresses of the console and the API."""

from django.urls import URLPattern, URLResolver, include, path

from ops_console import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include("ops_console.api.urls")),
    *health.urlpatterns,
]
