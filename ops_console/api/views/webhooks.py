"""Order events that are pushed to us, signed with a shared secret."""

from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from execution.brokers.base import BrokerNotConfigured
from execution.services.webhooks import take_webhook
from ops_console.addresses import client_address
from ops_console.api import fields
from ops_console.api.answers.parts import Shape
from ops_console.api.base import ApiView
from ops_console.api.codes import ProblemCode
from ops_console.api.desk import desk
from ops_console.api.openapi import documented
from ops_console.api.parsing import LARGEST_BODY
from ops_console.api.problems import Problem
from ops_console.api.throttling import Rate, limiter, require_allowance, spend
from ops_console.scopes import Scope
from ops_console.services.signatures import FORM, SignatureRefused, SignatureUsed, use_once, verify

log = structlog.get_logger(__name__)
# Only described here: the broker's reader takes whatever comes, and what it cannot read is kept.
BODY: dict[str, fields.Field] = {
    "stream": fields.Field(str, "trade_updates", {"type": "string", "example": "trade_updates"}, "Name of the stream."),
    "data": fields.Field(dict, "an object", {"type": "object"}, "The event with its order, in the broker's words."),
}
SIGNATURE = OpenApiParameter(
    name="X-Signature",
    location=OpenApiParameter.HEADER,
    required=True,
    description=f"`{FORM}`: HMAC-SHA256 with WEBHOOK_SECRET over `t.body`, at most five minutes old, used once",
)


class DeliverySerializer(Shape):
    """What came of it: facts nobody had told, facts known already, and what no report was found in (kept)."""

    new = serializers.IntegerField(min_value=0)
    known = serializers.IntegerField(min_value=0)
    unreadable = serializers.IntegerField(min_value=0)


class OrderWebhookView(ApiView):
    """The signature is the only key: no token, no session."""

    authentication_classes = ()  # type: ignore[assignment]
    scopes = {"POST": Scope.TRADE}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count the request by its address; who sent it is found from the signature."""
        self.accept(request)
        address = client_address(request.META)
        spend(Rate.ADDRESS, address)
        if request.method not in self.scopes:
            self.http_method_not_allowed(request)
        require_allowance(Rate.FAILED_KEYS, address)

    @documented(
        "webhooks_orders",
        "Push an order event",
        description=(
            'The body is a frame of the broker\'s own form, `{"stream": "trade_updates", "data": {…}}`. It goes into '
            "the inbox that the stream and REST fill as well: a fact that was told before changes nothing, and one "
            "that cannot be booked is kept, restricts its symbol and raises an alert."
        ),
        body=BODY,
        headers=[SIGNATURE],
        answers={200: DeliverySerializer},
        problems=[
            ProblemCode.INVALID_SIGNATURE,
            ProblemCode.SIGNATURE_USED,
            ProblemCode.NOTHING_PUSHED,
            ProblemCode.CONTENT_TOO_LARGE,
            ProblemCode.NOT_READY,
        ],
    )
    def post(self, request: Request) -> Response:
        """Verify, store the raw report and what it says in one transaction, and answer what was new."""
        body = _body(request)
        now = desk()
        signature = self._verified(request, body, now.wall_now)
        try:
            with transaction.atomic():
                use_once(signature=signature, wall_now=now.wall_now)
                delivery = take_webhook(account=now.account, body=body, wall_now=now.wall_now)
        except SignatureUsed as error:
            raise Problem(ProblemCode.SIGNATURE_USED, str(error)) from None
        except BrokerNotConfigured as error:
            raise Problem(ProblemCode.NOTHING_PUSHED, str(error)) from None
        return Response({"new": delivery.new, "known": delivery.known, "unreadable": delivery.unreadable})

    def _verified(self, request: Request, body: bytes, now: Any) -> str:
        if not settings.WEBHOOK_SECRET:
            raise Problem(ProblemCode.NOT_READY, "WEBHOOK_SECRET is not set, so no signature can be verified")
        header = request.META.get("HTTP_X_SIGNATURE", "")
        try:
            return verify(header=header, secret=settings.WEBHOOK_SECRET, body=body, wall_now=now)
        except SignatureRefused as error:
            address = client_address(request.META)
            limiter.wait(Rate.FAILED_KEYS, address)
            log.warning("webhook_refused", address=address, reason=str(error))
            raise Problem(ProblemCode.INVALID_SIGNATURE, str(error)) from None


def _body(request: Request) -> bytes:
    http = request._request
    length = http.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > LARGEST_BODY:
        raise Problem(ProblemCode.CONTENT_TOO_LARGE, f"at most {LARGEST_BODY} bytes are allowed")
    return http.body
