"""Addresses of the project: everything a person or a client touches is in the console."""

from django.urls import include, path

handler500 = "ops_console.views.failure.server_error"
urlpatterns = [path("", include("ops_console.urls"))]
