"""The OpenAPI document and a page that is rendered from it; both are the same for everybody."""

from functools import lru_cache
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request
from rest_framework.response import Response

from ops_console.api.base import ANSWER_HEADERS, ApiView
from ops_console.api.codes import STATUSES, ProblemCode
from ops_console.api.problems import Problem

MEDIA_TYPE = "application/vnd.oai.openapi+json"
PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
METHODS = ("get", "post", "put", "patch", "delete")


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """Return the OpenAPI document; it is made once in a process."""
    return _public(HttpResponse(_encoded(), content_type=MEDIA_TYPE))


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Return the reference page: plain HTML and one style sheet, so that the strictest policy holds."""
    response = _public(HttpResponse(_page(), content_type="text/html; charset=utf-8"))
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


class NothingHere(ApiView):
    """Every other address of the API is a problem, too."""

    schema = None  # type: ignore[assignment]
    authentication_classes = ()  # type: ignore[assignment]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer 404 whoever asks, with whatever method."""
        raise Problem(ProblemCode.NOT_FOUND, f"there is no {request.path[:200]}")

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Never reached."""
        raise Problem(ProblemCode.NOT_FOUND)

    post = put = patch = delete = options = head = get  # type: ignore[assignment]


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


@lru_cache(maxsize=1)
def _encoded() -> bytes:
    return orjson.dumps(document())


@lru_cache(maxsize=1)
def _page() -> str:
    made = document()
    return render_to_string(
        "ops_console/api/docs.html",
        {
            "info": made["info"],
            "sections": _sections(made),
            "problems": [(code, STATUSES[code]) for code in ProblemCode],
            "shapes": sorted(made["components"]["schemas"].items()),
        },
    )


def _sections(made: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    sections: dict[str, list[dict[str, Any]]] = {}
    for address, operations in made["paths"].items():
        for method in METHODS:
            if method in operations:
                operation = operations[method]
                sections.setdefault(operation["tags"][0], []).append(_operation(method, address, operation))
    return sections


def _operation(method: str, address: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "address": address,
        "summary": operation["summary"],
        "description": operation["description"],
        "parameters": operation.get("parameters", []),
        "fields": [
            {"name": name, "required": name in body.get("required", ()), "schema": spec}
            for name, spec in body.get("properties", {}).items()
        ],
        "example": orjson.dumps(body["example"], option=orjson.OPT_INDENT_2).decode() if "example" in body else "",
        "answers": [_described(status, answer) for status, answer in sorted(operation["responses"].items())],
    }


def _described(status: str, answer: dict[str, Any]) -> dict[str, str]:
    content: dict[str, Any] = next(iter(answer.get("content", {}).values()), {})
    reference = content.get("schema", {}).get("$ref", "")
    return {"status": status, "description": answer.get("description", ""), "shape": reference.rpartition("/")[2]}


def _public(response: HttpResponse) -> HttpResponse:
    for name, value in ANSWER_HEADERS.items():
        response.headers[name] = value
    response.headers["Cache-Control"] = "public, max-age=300"
    return response
