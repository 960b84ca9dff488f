"""Every failure under `/api` as `application/problem+json` (RFC 9457)."""

from collections.abc import Sequence
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from execution import errors as execution_errors
from marketdata.errors import FeedMissingError
from ops_console.api.codes import STATUSES, FieldError, ProblemCode, shown
from risk import errors as risk_errors
from risk.types import Denial, DenialCode
from signals import registry
from signals.parameters import BadParameter
from trading import errors as trading_errors
from trading.kept_connection import note_failure

MEDIA_TYPE = "application/problem+json"
REFERENCE = "/api/v1/docs/#problem-"
MINUTE, DATABASE_PAUSE = 60, 2
Body = dict[str, Any]

log = structlog.get_logger(__name__)


class Problem(Exception):
    """A failure that is already in the client's words; `retry_after` in seconds, `extra` are further members."""

    def __init__(
        self,
        code: ProblemCode,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        extra: Body | None = None,
    ) -> None:
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.extra = extra or {}
        super().__init__(f"{code.value}: {detail}")


def invalid(name: str, value: object, allowed: str) -> Problem:
    """Return the problem of one field that cannot be accepted."""
    return invalid_fields([FieldError(name, shown(value), allowed)])


def invalid_fields(errors: Sequence[FieldError]) -> Problem:
    """Return the problem that lists every field that cannot be accepted."""
    names = ", ".join(error.name for error in errors)
    return Problem(ProblemCode.INVALID_INPUT, f"not acceptable: {names}", errors=errors)


def denied(denials: Sequence[Denial], *, decision_id: int | None, client_order_id: str | None) -> Problem:
    """Return the problem of an order that the gate refused; an engaged kill switch makes it a 503."""
    halted = any(denial.code == DenialCode.KILL_SWITCH for denial in denials)
    code = ProblemCode.KILL_SWITCH if halted else ProblemCode.RISK_DENIED
    extra: Body = {"denials": [denial.as_dict() for denial in denials], "decision_id": decision_id}
    if client_order_id is not None:
        extra["client_order_id"] = client_order_id
    return Problem(code, "; ".join(denial.message for denial in denials), extra=extra)


# What services refuse, in the client's words. The name is the field that the refusal is about.
REFUSALS: dict[type[Exception], tuple[ProblemCode, str]] = {
    execution_errors.OrderConflict: (ProblemCode.ORDER_CONFLICT, ""),
    execution_errors.OrderNotOpen: (ProblemCode.ORDER_NOT_OPEN, ""),
    execution_errors.ReplaceRefused: (ProblemCode.ORDER_NOT_REPLACEABLE, ""),
    execution_errors.HaltNotOver: (ProblemCode.HALT_NOT_OVER, ""),
    execution_errors.BreakNotOpen: (ProblemCode.ALREADY_IN_STATE, ""),
    execution_errors.ForceRefused: (ProblemCode.ALREADY_IN_STATE, ""),
    execution_errors.NothingToCorrect: (ProblemCode.ALREADY_IN_STATE, ""),
    execution_errors.ReconciliationUnderWay: (ProblemCode.RUN_CONFLICT, ""),
    execution_errors.NothingLeft: (ProblemCode.NOT_FOUND, ""),
    risk_errors.InvalidReason: (ProblemCode.INVALID_INPUT, "reason"),
    risk_errors.InvalidScope: (ProblemCode.INVALID_INPUT, "scope"),
    risk_errors.InvalidLevel: (ProblemCode.INVALID_INPUT, "level"),
    risk_errors.WrongWord: (ProblemCode.INVALID_INPUT, "word"),
    risk_errors.InvalidLimit: (ProblemCode.INVALID_INPUT, "value"),
    risk_errors.AlertOver: (ProblemCode.ALERT_OVER, ""),
    risk_errors.AlreadyInState: (ProblemCode.ALREADY_IN_STATE, ""),
    risk_errors.RequestNotPending: (ProblemCode.REQUEST_NOT_PENDING, ""),
    risk_errors.SecondOperatorRequired: (ProblemCode.SECOND_OPERATOR_REQUIRED, ""),
    risk_errors.TooSoon: (ProblemCode.TOO_SOON, ""),
    trading_errors.JobOverError: (ProblemCode.ALREADY_IN_STATE, ""),
    trading_errors.JobNotOverError: (ProblemCode.ALREADY_IN_STATE, ""),
    trading_errors.JobKeyUsedError: (ProblemCode.ORDER_CONFLICT, ""),
    trading_errors.TooManyJobsError: (ProblemCode.THROTTLED, ""),
    registry.UnknownModelError: (ProblemCode.NOT_FOUND, ""),
    registry.NoActiveModelError: (ProblemCode.ALREADY_IN_STATE, ""),
    registry.ModelStepError: (ProblemCode.ALREADY_IN_STATE, ""),
    registry.ModelReasonError: (ProblemCode.INVALID_INPUT, "reason"),
    registry.ApprovalRequiredError: (ProblemCode.SECOND_OPERATOR_REQUIRED, ""),
    registry.ApprovalNotPendingError: (ProblemCode.REQUEST_NOT_PENDING, ""),
    registry.ModelError: (ProblemCode.MODEL_UNUSABLE, ""),
    FeedMissingError: (ProblemCode.NOT_READY, ""),
    Http404: (ProblemCode.NOT_FOUND, ""),
    PermissionDenied: (ProblemCode.SCOPE_MISSING, ""),
    exceptions.MethodNotAllowed: (ProblemCode.METHOD_NOT_ALLOWED, ""),
    RequestDataTooBig: (ProblemCode.CONTENT_TOO_LARGE, ""),
}
PAUSES: dict[ProblemCode, int] = {
    ProblemCode.THROTTLED: MINUTE,
    ProblemCode.TOO_SOON: MINUTE,
    ProblemCode.NOT_READY: DATABASE_PAUSE,
}


def as_problem(error: Exception) -> Problem:
    """Translate any failure; what nobody foresaw is logged with its trace and told without it."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, BadParameter):
        return invalid_fields([FieldError(error.field, error.value, error.allowed)])
    if isinstance(error, (OperationalError, InterfaceError)):
        note_failure(error)
        log.error("api_database_unavailable", error=type(error).__name__, detail=str(error).strip())
        return Problem(
            ProblemCode.DATABASE_UNAVAILABLE,
            "the database does not answer; an order sent with an Idempotency-Key can safely be sent again",
            retry_after=DATABASE_PAUSE,
        )
    for kind in type(error).__mro__:
        if kind in REFUSALS:
            return _refusal(error, *REFUSALS[kind])
    log.error("api_failed", exc_info=error)
    return Problem(ProblemCode.INTERNAL_ERROR, "an unforeseen failure; quote the request_id when reporting it")


def _refusal(error: Exception, code: ProblemCode, name: str) -> Problem:
    detail = str(error)
    errors = [FieldError(name, "", detail)] if name else []
    return Problem(code, detail, errors=errors, retry_after=PAUSES.get(code))


def problem_body(problem: Problem, request_id: str) -> Body:
    """Return the members of RFC 9457 and ours."""
    body: Body = {
        "type": f"{REFERENCE}{problem.code.value}",
        "title": problem.code.label,
        "status": STATUSES[problem.code],
        "detail": problem.detail or problem.code.label,
        "code": problem.code.value,
        "request_id": request_id,
    }
    if problem.errors:
        body["errors"] = [error.as_dict() for error in problem.errors]
    return body | problem.extra


def problem_response(error: Exception, request_id: str) -> Response:
    """Build the answer for a failure."""
    problem = as_problem(error)
    response = Response(problem_body(problem, request_id), status=STATUSES[problem.code], content_type=MEDIA_TYPE)
    if problem.retry_after is not None:
        response["Retry-After"] = str(problem.retry_after)
    return response


def handle_exception(error: Exception, context: dict[str, Any]) -> Response:
    """Answer every failure of a view; the hook that REST framework calls."""
    set_rollback()
    request = context.get("request")
    return problem_response(error, getattr(request, "request_id", "") if request is not None else "")
