"""One address."""

from django.urls import path

from tests.bench.floor.views import OrdersView

urlpatterns = [path("orders", OrdersView.as_view())]
