"""What every view of the API does the same way."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.http import HttpRequest
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ops_console.addresses import client_address
from ops_console.api import fields
from ops_console.api.authentication import Caller, SessionAuthentication, TokenAuthentication, require_scope
from ops_console.api.codes import ProblemCode
from ops_console.api.openapi import ApiSchema
from ops_console.api.parsing import LARGEST_BODY, parse_object
from ops_console.api.problems import Problem, handle_exception
from ops_console.api.throttling import Rate, spend
from ops_console.api.wire import encode
from ops_console.scopes import Scope

# An answer is data for a program: nothing in it may run, be framed, guessed at or kept by a cache.
ANSWER_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
JSON_TYPES = frozenset({"", "application/json"})


class JsonRenderer(BaseRenderer):
    """The only renderer of the API; what a client accepts is not negotiated."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """Write the answer."""
        return b"" if data is None else encode(data)


RENDERER = JsonRenderer()


class ApiView(APIView):
    """Authenticate, check the scope of the method, count the request; then the subclass parses, calls and renders.

    The steps are REST framework's, without its negotiation of renderers and parsers, because there is one of each.
    """

    renderer_classes = (JsonRenderer,)
    parser_classes = ()
    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = ()
    throttle_classes = ()
    schema = ApiSchema()

    scopes: ClassVar[Mapping[str, Scope]] = {"GET": Scope.READ}
    rates: ClassVar[Mapping[str, Rate]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let the request pass, or raise the problem that says why not."""
        self.accept(request)
        spend(Rate.ADDRESS, client_address(request.META))
        method = "GET" if request.method == "HEAD" else str(request.method)
        if not hasattr(self, method.lower()) or method not in self.scopes:
            self.http_method_not_allowed(request)
        self.perform_authentication(request)
        caller = require_scope(_caller(request), self.scopes[method])
        spend(self.rates.get(method, Rate.READS if method == "GET" else Rate.CONTROLS), caller.key)

    def accept(self, request: Request) -> None:
        """Choose the renderer: there is one."""
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = RENDERER, RENDERER.media_type

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response]:
        """Every failure becomes a problem."""
        return handle_exception

    def handle_exception(self, exc: Exception) -> Response:
        """Answer a failure; a 401 names the scheme."""
        response = handle_exception(exc, self.get_exception_handler_context())
        if response.status_code == 401:
            response["WWW-Authenticate"] = self.authentication_classes[0]().authenticate_header(self.request)
        response.exception = True
        return response

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Attach the renderer and the headers of every answer."""
        response.accepted_renderer = RENDERER
        response.accepted_media_type = RENDERER.media_type
        response.renderer_context = {}  # type: ignore[attr-defined]
        for name, value in ANSWER_HEADERS.items():
            response.headers[name] = value
        if response.status_code == 405:
            response.headers["Allow"] = ", ".join(self.allowed_methods)
        return response

    @property
    def allowed_methods(self) -> list[str]:
        """Methods that this address answers."""
        return sorted(self.scopes)


def caller_of(request: Request) -> Caller:
    """Return who called; a view is only reached with a caller."""
    caller = _caller(request)
    if caller is None:
        raise Problem(ProblemCode.NOT_AUTHENTICATED, "nobody is calling")
    return caller


def _caller(request: Request) -> Caller | None:
    caller: object = request.auth
    return caller if isinstance(caller, Caller) else None


def body_of(request: Request) -> dict[str, Any]:
    """Read the JSON object in the body.

    :raises Problem: another media type, too large, or not an object of JSON
    """
    http: HttpRequest = request._request  # REST framework's own parsing would read the stream in four more layers
    media_type = (http.content_type or "").lower()
    length = http.META.get("CONTENT_LENGTH") or "0"
    if media_type not in JSON_TYPES:
        raise Problem(
            ProblemCode.UNSUPPORTED_MEDIA_TYPE, f"Content-Type {media_type[:60]!r}: application/json is needed"
        )
    if not length.isdecimal() or int(length) > LARGEST_BODY:
        raise Problem(ProblemCode.CONTENT_TOO_LARGE, f"at most {LARGEST_BODY} bytes are allowed")
    return parse_object(http.body)


def query_of(request: Request, allowed: fields.Fields) -> dict[str, Any]:
    """Read the query strictly.

    :raises Problem: unknown, repeated or refused parameters
    """
    raw: dict[str, Any] = {}
    for name, values in request.query_params.lists():
        raw[name] = values[0] if len(values) == 1 else values
    return fields.read_fields(raw, allowed)
