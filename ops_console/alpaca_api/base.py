"""What every view of `/alpaca` does the same way: Alpaca's headers in, Alpaca's JSON out."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from rest_framework import authentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from execution.alpaca_wire.errors import MALFORMED, WireError, malformed
from execution.alpaca_wire.json import decode_object, encode
from ops_console.addresses import client_address
from ops_console.alpaca_api.failures import wire_error
from ops_console.api.authentication import Caller, TokenOwner, caller_with_key
from ops_console.api.base import ApiView, JsonRenderer
from ops_console.api.codes import ProblemCode
from ops_console.api.parsing import LARGEST_BODY
from ops_console.api.problems import Problem

HEADERS = "send APCA-API-KEY-ID and APCA-API-SECRET-KEY: a token's id and secret, the two parts of pc_<id>_<secret>"


class WireRenderer(JsonRenderer):
    """Decimals leave as bare JSON numbers, as Alpaca writes prices of bars."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """Write the answer."""
        return b"" if data is None else encode(data)


RENDERER = WireRenderer()


def token_key(key_id: str, secret: str) -> str:
    """Return our key from the two parts that Alpaca's clients send apart."""
    return f"pc_{key_id}_{secret}"


class AlpacaAuthentication(authentication.BaseAuthentication):
    """Alpaca's two headers; or Basic with the same two, or `Bearer pc_<id>_<secret>`."""

    def authenticate(self, request: Request) -> tuple[TokenOwner, Caller]:
        """Return the owner of the token.

        :raises Problem: no key, or one that opens nothing
        """
        key = presented_key(request.META)
        if key is None:
            raise Problem(ProblemCode.NOT_AUTHENTICATED, HEADERS)
        return caller_with_key(key, address=client_address(request.META))

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme, which makes a missing credential a 401."""
        return "Bearer"


def presented_key(headers: Mapping[str, Any]) -> str | None:
    """Return the key in a request's META, None when there is none."""
    key_id, secret = headers.get("HTTP_APCA_API_KEY_ID", ""), headers.get("HTTP_APCA_API_SECRET_KEY", "")
    if key_id or secret:
        return token_key(str(key_id), str(secret))
    scheme, _, value = str(headers.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        return _basic_key(value)
    return None


def _basic_key(value: str) -> str:
    try:
        pair = base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    key_id, _, secret = pair.partition(":")
    return token_key(key_id, secret)


class AlpacaView(ApiView):
    """A view whose failures and numbers look like Alpaca's."""

    authentication_classes = (AlpacaAuthentication,)  # type: ignore[assignment]
    renderer_classes = (WireRenderer,)
    schema = None  # type: ignore[assignment]  # Alpaca's own reference describes these addresses

    def handle_exception(self, exc: Exception) -> Response:
        """Answer a failure."""
        set_rollback()
        error, pause = wire_error(exc)
        response = Response(error.body(), status=error.status)
        if error.status == 401:
            response["WWW-Authenticate"] = AlpacaAuthentication().authenticate_header(self.request)
        if pause is not None:
            response["Retry-After"] = str(pause)
        response.exception = True
        return response

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Attach the renderer and the headers of every answer."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response.accepted_renderer = RENDERER
        return response


def wire_body(request: Request) -> dict[str, Any]:
    """Read the JSON object in the body, its numbers as `Decimal`.

    :raises WireError: 400 not JSON, 413 too large
    """
    http = request._request
    length = http.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > LARGEST_BODY or len(http.body) > LARGEST_BODY:
        raise WireError(413, MALFORMED, f"request body: at most {LARGEST_BODY} bytes are allowed")
    return decode_object(http.body)


def wire_query(request: Request) -> dict[str, str]:
    """Return the query's parameters, the last of each name; unknown ones are passed over, as Alpaca does.

    :raises WireError: 422, a NUL, which no text of the database can be compared with
    """
    given = {name: values[-1] for name, values in request.query_params.lists() if values}
    for name, value in given.items():
        if "\0" in value:
            raise malformed(name, value, "text without NUL")
    return given
