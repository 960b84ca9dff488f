"""What the OpenAPI document says of every operation alike: who may call, which problems may come back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from ops_console.api import fields
from ops_console.api.codes import STATUSES, FieldError, ProblemCode
from ops_console.api.problems import MEDIA_TYPE, Problem, problem_body
from risk.limits import LIMITS
from risk.types import Denial, DenialCode

LIMIT_NAMES = [(name, definition.label) for name, definition in sorted(LIMITS.items())]
DENIAL_CODES = [(code.value, code.value) for code in DenialCode]
ANSWERS = {200: "As it stands now.", 201: "New; `Location` says where it is.", 202: "Asked for, not yet done."}
PATH_PREFIX = "/api/v1/"
JSON = "application/json"
EXAMPLE_REQUEST_ID = "3f1c9a7be2d84c0b9a55e1f7a0c6d2e8"
EXAMPLE_DENIAL = Denial(
    DenialCode.POSITION_LIMIT,
    "1,200 shares of AAPL after every open order, 1,000 are allowed",
    limit="1000",
    observed="1200",
    scope="strategy:manual",
)

ALWAYS = (
    ProblemCode.NOT_AUTHENTICATED,
    ProblemCode.INVALID_TOKEN,
    ProblemCode.SCOPE_MISSING,
    ProblemCode.THROTTLED,
    ProblemCode.INTERNAL_ERROR,
    ProblemCode.NOT_READY,
    ProblemCode.DATABASE_UNAVAILABLE,
)
WITH_BODY = (
    ProblemCode.MALFORMED_JSON,
    ProblemCode.INVALID_INPUT,
    ProblemCode.CSRF_FAILED,
    ProblemCode.CONTENT_TOO_LARGE,
    ProblemCode.UNSUPPORTED_MEDIA_TYPE,
)


class FieldErrorSerializer(serializers.Serializer[Any]):
    """A field that was refused."""

    name = serializers.CharField(help_text="The field or parameter.")
    value = serializers.CharField(help_text="What was read, shortened.", allow_blank=True)
    allowed = serializers.CharField(help_text="What is allowed.")


class DenialSerializer(serializers.Serializer[Any]):
    """One rule of the gate that refused, with the numbers it compared."""

    code = serializers.ChoiceField(choices=DENIAL_CODES)
    message = serializers.CharField()
    limit = serializers.CharField(allow_blank=True)
    observed = serializers.CharField(allow_blank=True)
    scope = serializers.CharField(allow_blank=True)


class ProblemSerializer(serializers.Serializer[Any]):
    """A failure, as RFC 9457 writes it."""

    type = serializers.CharField(help_text="Where the code is explained.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.ChoiceField(choices=ProblemCode.choices)
    request_id = serializers.CharField(allow_blank=True, help_text="The X-Request-ID of the answer, for the log.")
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]
    denials = DenialSerializer(many=True, required=False, help_text="Every rule that refused the order.")
    decision_id = serializers.IntegerField(required=False, allow_null=True)
    client_order_id = serializers.CharField(required=False)


class ApiSchema(AutoSchema):
    """Takes tag and security from the view; everything else is said with `documented`."""

    def get_tags(self) -> list[str]:
        """Group by the first part of the path."""
        return [self.path.removeprefix(PATH_PREFIX).split("/")[0]]


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describe `Authorization: Token KEY`."""

    target_class = "ops_console.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the security scheme."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token pc_<id>_<secret>`, from `manage.py create_api_token USER --scope SCOPE`",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describe the console's session."""

    target_class = "ops_console.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the security scheme."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "log in to the console"}


def only_the_api(endpoints: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Keep what this package serves; the document is about nothing else."""
    return [entry for entry in endpoints if entry[0].startswith(PATH_PREFIX)]


def documented(
    operation: str,
    summary: str,
    *,
    answers: Mapping[int, Any],
    description: str = "",
    body: fields.Fields | None = None,
    example: Mapping[str, Any] | None = None,
    query: fields.Fields | None = None,
    headers: Sequence[OpenApiParameter] = (),
    problems: Sequence[ProblemCode] = (),
) -> Callable[[Any], Any]:
    """Describe one operation from the very fields that read its body and its query."""
    codes = [*ALWAYS, *problems]
    if body is not None:
        codes += WITH_BODY
    elif query:
        codes.append(ProblemCode.INVALID_INPUT)
    request = None if body is None else {JSON: fields.object_schema(body, example=dict(example) if example else None)}
    return extend_schema(
        operation_id=operation,
        summary=summary,
        description=description or summary,
        request=request,
        parameters=[*_query(query or {}), *headers],
        responses={**_answers(answers), **_problems(codes)},
    )


def _answers(answers: Mapping[int, Any]) -> dict[tuple[int, str], OpenApiResponse]:
    return {(status, JSON): OpenApiResponse(shape, description=ANSWERS[status]) for status, shape in answers.items()}


def _query(query: fields.Fields) -> list[OpenApiParameter]:
    return [
        OpenApiParameter(
            name=name,
            type={key: value for key, value in spec.schema.items() if key not in {"description", "default"}},
            location=OpenApiParameter.QUERY,
            description=spec.help,
            required=spec.required,
            default=spec.default,
        )
        for name, spec in query.items()
    ]


def _problems(codes: Iterable[ProblemCode]) -> dict[tuple[int, str], OpenApiResponse]:
    by_status: dict[int, list[ProblemCode]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(STATUSES[code], []).append(code)
    return {
        (status, MEDIA_TYPE): OpenApiResponse(
            ProblemSerializer,
            description="; ".join(f"`{code.value}`: {code.label}" for code in found),
            examples=[_example(code) for code in found],
        )
        for status, found in sorted(by_status.items())
    }


def _example(code: ProblemCode) -> OpenApiExample:
    return OpenApiExample(
        code.value.lower(),
        value=problem_body(_example_problem(code), EXAMPLE_REQUEST_ID),
        media_type=MEDIA_TYPE,
        response_only=True,
        status_codes=[str(STATUSES[code])],
    )


def _example_problem(code: ProblemCode) -> Problem:
    if code == ProblemCode.INVALID_INPUT:
        error = FieldError("quantity", "NaN", "a plain decimal number as a string")
        return Problem(code, "not acceptable: quantity", errors=[error])
    if code == ProblemCode.RISK_DENIED:
        return Problem(code, EXAMPLE_DENIAL.message, extra={"denials": [EXAMPLE_DENIAL.as_dict()], "decision_id": 4711})
    return Problem(code)
