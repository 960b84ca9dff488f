"""Every failure under `/alpaca` in Alpaca's shape: `{"code": 40310000, "message": "…"}` and fields of ours."""

from collections.abc import Sequence

from execution.alpaca_wire.errors import FORBIDDEN, INTERNAL, MALFORMED, UNPROCESSABLE, WireError, not_unique
from execution.errors import OrderConflict
from ops_console.api.codes import STATUSES, ProblemCode
from ops_console.api.problems import Problem, as_problem
from risk.types import Denial, DenialCode

# What is wrong with the order itself is 422 as at Alpaca; everything else is a thing that this account may not do.
UNPROCESSABLE_RULES = frozenset(
    {
        DenialCode.INVALID_QUANTITY,
        DenialCode.INVALID_PRICE,
        DenialCode.INVALID_COMBINATION,
        DenialCode.UNKNOWN_INSTRUMENT,
        DenialCode.NOT_TRADABLE,
        DenialCode.MARKET_CLOSED,
        DenialCode.AUCTION_WINDOW,
    }
)
HALTED = "new orders are rejected by user request"
WORDS = {
    ProblemCode.INVALID_INPUT: (422, MALFORMED),
    ProblemCode.MALFORMED_JSON: (400, MALFORMED),
    ProblemCode.INTERNAL_ERROR: (500, INTERNAL),
}


def refused(denials: Sequence[Denial], *, decision_id: int | None, client_order_id: str | None) -> WireError:
    """Return the answer for what the gate denied; an engaged kill switch speaks as Alpaca's own suspension does."""
    codes = {denial.code for denial in denials}
    text = "; ".join(f"{denial.code.value}: {denial.message}" for denial in denials)
    status, code = (422, UNPROCESSABLE) if codes <= UNPROCESSABLE_RULES else (403, FORBIDDEN)
    if DenialCode.KILL_SWITCH in codes:
        text = f"{HALTED}: {text}"
    elif DenialCode.UNKNOWN_INSTRUMENT in codes:  # and whatever else cannot be judged without an instrument
        status, code = 422, MALFORMED
    extra: dict[str, object] = {"denials": [denial.as_dict() for denial in denials], "decision_id": decision_id}
    if client_order_id is not None:
        extra["client_order_id"] = client_order_id
    return WireError(status, code, text, **extra)


def wire_error(error: Exception) -> tuple[WireError, int | None]:
    """Translate any failure; returns also the seconds to wait before another try, None where waiting does not help."""
    if isinstance(error, WireError):
        return error, None
    if isinstance(error, OrderConflict):
        return not_unique(), None
    problem = as_problem(error)
    status, code = WORDS.get(problem.code, (STATUSES[problem.code], STATUSES[problem.code] * 100_000 + 10_000))
    return WireError(status, code, _message(problem), **problem.extra), problem.retry_after


def _message(problem: Problem) -> str:
    if problem.code in (ProblemCode.INVALID_TOKEN, ProblemCode.NOT_AUTHENTICATED):
        return f"access key verification failed : {problem.detail}"
    if problem.code == ProblemCode.THROTTLED:
        return f"rate limit exceeded: {problem.detail}"
    return problem.detail or problem.code.label
