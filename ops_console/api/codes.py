"""Every problem the API can answer with: code, HTTP status and title. The reference page is built from this table."""

from dataclasses import dataclass

from django.db.models import TextChoices


class ProblemCode(TextChoices):
    """What went wrong, for programs; the label says it for people and is the problem's title."""

    MALFORMED_JSON = "MALFORMED_JSON", "The body is not JSON that can be accepted"
    INVALID_INPUT = "INVALID_INPUT", "Some fields are not acceptable"
    NOT_AUTHENTICATED = "NOT_AUTHENTICATED", "A token or a session is needed"
    INVALID_TOKEN = "INVALID_TOKEN", "The token opens nothing"
    CSRF_FAILED = "CSRF_FAILED", "The session's CSRF token is missing or wrong"
    INVALID_SIGNATURE = "INVALID_SIGNATURE", "The signature is missing, wrong or too old"
    SCOPE_MISSING = "SCOPE_MISSING", "The caller's scope does not allow this"
    SECOND_OPERATOR_REQUIRED = "SECOND_OPERATOR_REQUIRED", "Another operator has to approve"
    NOT_FOUND = "NOT_FOUND", "There is nothing here"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED", "The method is not allowed here"
    RISK_DENIED = "RISK_DENIED", "The risk checks denied the order"
    ORDER_NOT_OPEN = "ORDER_NOT_OPEN", "The order is over"
    ORDER_NOT_REPLACEABLE = "ORDER_NOT_REPLACEABLE", "The order takes no such terms now"
    POSITION_FLAT = "POSITION_FLAT", "There is nothing to close"
    ALREADY_IN_STATE = "ALREADY_IN_STATE", "It is already so"
    SIGNATURE_USED = "SIGNATURE_USED", "The same signed request was accepted before"
    ALERT_OVER = "ALERT_OVER", "The alert is over"
    NOTHING_PUSHED = "NOTHING_PUSHED", "The desk's broker pushes nothing"
    HALT_NOT_OVER = "HALT_NOT_OVER", "A halt is not over yet"
    REQUEST_NOT_PENDING = "REQUEST_NOT_PENDING", "The request was decided before or has expired"
    MODEL_UNUSABLE = "MODEL_UNUSABLE", "The model's file cannot be used"
    RUN_CONFLICT = "RUN_CONFLICT", "The run cannot be started now"
    CONTENT_TOO_LARGE = "CONTENT_TOO_LARGE", "The body is too large"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE", "The body must be JSON"
    ORDER_CONFLICT = "ORDER_CONFLICT", "The id or idempotency key was used with another body"
    THROTTLED = "THROTTLED", "Too many requests"
    TOO_SOON = "TOO_SOON", "The last change was less than a minute ago"
    INTERNAL_ERROR = "INTERNAL_ERROR", "The platform failed"
    RUN_FAILED = "RUN_FAILED", "The run failed"
    KILL_SWITCH = "KILL_SWITCH", "Trading is halted by the kill switch"
    NOT_READY = "NOT_READY", "The platform is not ready"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE", "The database does not answer"
    BROKER_UNAVAILABLE = "BROKER_UNAVAILABLE", "The broker gives no whole answer"


STATUSES: dict[ProblemCode, int] = {
    ProblemCode.MALFORMED_JSON: 400,
    ProblemCode.INVALID_INPUT: 400,
    ProblemCode.NOT_AUTHENTICATED: 401,
    ProblemCode.INVALID_TOKEN: 401,
    ProblemCode.CSRF_FAILED: 403,
    ProblemCode.INVALID_SIGNATURE: 403,
    ProblemCode.SCOPE_MISSING: 403,
    ProblemCode.SECOND_OPERATOR_REQUIRED: 403,
    ProblemCode.NOT_FOUND: 404,
    ProblemCode.METHOD_NOT_ALLOWED: 405,
    ProblemCode.RISK_DENIED: 409,
    ProblemCode.ORDER_NOT_OPEN: 409,
    ProblemCode.ORDER_NOT_REPLACEABLE: 409,
    ProblemCode.POSITION_FLAT: 409,
    ProblemCode.ALREADY_IN_STATE: 409,
    ProblemCode.SIGNATURE_USED: 409,
    ProblemCode.ALERT_OVER: 409,
    ProblemCode.NOTHING_PUSHED: 409,
    ProblemCode.HALT_NOT_OVER: 409,
    ProblemCode.REQUEST_NOT_PENDING: 409,
    ProblemCode.MODEL_UNUSABLE: 409,
    ProblemCode.RUN_CONFLICT: 409,
    ProblemCode.CONTENT_TOO_LARGE: 413,
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ProblemCode.ORDER_CONFLICT: 422,
    ProblemCode.THROTTLED: 429,
    ProblemCode.TOO_SOON: 429,
    ProblemCode.INTERNAL_ERROR: 500,
    ProblemCode.RUN_FAILED: 500,
    ProblemCode.KILL_SWITCH: 503,
    ProblemCode.NOT_READY: 503,
    ProblemCode.DATABASE_UNAVAILABLE: 503,
    ProblemCode.BROKER_UNAVAILABLE: 503,
}

if set(STATUSES) != set(ProblemCode):  # two lists of one fact must agree at start
    raise RuntimeError("ops_console.api.codes: every problem code needs a status")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that cannot be accepted: what was read (shortened) and what is allowed."""

    name: str
    value: str
    allowed: str

    def as_dict(self) -> dict[str, str]:
        """Return the form that is sent to clients."""
        return {"name": self.name, "value": self.value, "allowed": self.allowed}


SHOWN_CHARACTERS = 60


def shown(value: object) -> str:
    """Write a rejected value for an answer: short, printable, never a way to mirror a whole body."""
    text = value if isinstance(value, str) else repr(value)
    text = text[: SHOWN_CHARACTERS * 2].encode("ascii", "backslashreplace").decode("ascii")
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}~"
