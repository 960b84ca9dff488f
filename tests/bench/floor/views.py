"""One view, one row."""

from typing import Any, cast

from django.db import models
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class FloorOrder(models.Model):
    """What was sent, unchecked."""

    strategy = models.CharField(max_length=40)
    symbol = models.CharField(max_length=16)
    side = models.CharField(max_length=4)
    quantity = models.DecimalField(max_digits=20, decimal_places=8)
    order_type = models.CharField(max_length=10)
    time_in_force = models.CharField(max_length=3)
    limit_price = models.DecimalField(max_digits=20, decimal_places=8)
    client_order_id = models.CharField(max_length=128)

    class Meta:
        app_label = "floor"
        db_table = "bench_floor_order"

    def __str__(self) -> str:
        return self.client_order_id


class OrdersView(APIView):
    """Parse, insert, answer."""

    def post(self, request: Request) -> Response:
        """Store what was sent; commit before the answer."""
        fields = cast("dict[str, Any]", request.data)
        order = FloorOrder(**fields)
        order.save(force_insert=True)
        return Response({"id": order.pk, **fields}, status=201)
