"""What a failed request means: refused for good, never sent, or an open question.

Only an answer of the broker's own API is believed: a status with its JSON error. Whatever a proxy may have said, or
nobody, leaves a write open once any of it was sent, and is no news at all for a read or a cancel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from alpaca.common.exceptions import APIError
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from execution.brokers.alpaca.session import was_sent
from execution.brokers.base import (
    BrokerError,
    BrokerOutcomeUnknown,
    BrokerRejected,
    BrokerUnavailable,
    BrokerUnreachable,
)

TRANSPORT = (RequestException, HTTPError, OSError, ValueError, RecursionError)
"""What a request raises beside `APIError`: no connection, no answer, or none that is JSON."""
LONGEST_REASON = 300
DEEPEST_CAUSE = 10
NOT_UNIQUE = "client_order_id must be unique"
NOT_FOUND = "40410000"
DEFINITE = {400, 403, 404, 422}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with an error status; `code` is Alpaca's number as text, empty when the answer is not Alpaca's."""

    status: int
    code: str
    message: str

    @property
    def is_from_the_broker(self) -> bool:
        """Tell whether the answer has the form of the API's errors."""
        return bool(self.code)

    @property
    def is_definite(self) -> bool:
        """Tell whether the API itself says that the request was not carried out and never will be."""
        return self.is_from_the_broker and self.status in DEFINITE


def refusal_of(error: APIError) -> Refusal:
    """Read an error answer, whatever its body is."""
    text = str(error)
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    status = error.status_code or 0
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        code = body.get("code")
        known = isinstance(code, int | str) and not isinstance(code, bool)
        return Refusal(status, str(code)[:32] if known else "", _line(body["message"]) or f"status {status}")
    return Refusal(status, "", _line(text) or "an empty answer")


def write_failure(refusal: Refusal) -> BrokerError:
    """Say what a refused POST or PATCH means."""
    said = f"{refusal.message} (HTTP {refusal.status})"
    if refusal.is_definite:
        return BrokerRejected(refusal.message, code=refusal.code)
    if refusal.status == 429:
        return BrokerUnreachable(f"too many requests: {said}", code="rate_limited")
    return BrokerOutcomeUnknown(f"the broker answered: {said}", code=f"http_{refusal.status}")


def read_failure(refusal: Refusal) -> BrokerError:
    """Say what a refused GET or DELETE means: ask again later; only the API's own 404 is an answer."""
    if refusal.status == 404 and refusal.code == NOT_FOUND:
        return BrokerRejected(refusal.message, code=refusal.code)
    said = f"the broker answered: {refusal.message} (HTTP {refusal.status})"
    if refusal.status == 429:
        return BrokerUnreachable(said, code="rate_limited")
    return BrokerUnavailable(said, code=f"http_{refusal.status}")


def no_answer(error: BaseException, *, writes: bool, address: str) -> BrokerError:
    """Say what a request means that got no answer, or one that cannot be read."""
    said = root_cause(error)
    if not was_sent():
        return BrokerUnreachable(_line(f"the broker cannot be reached at {address}: {said}"), code="unreachable")
    reason = _line(f"no answer of the broker that can be read: {said}")
    return BrokerOutcomeUnknown(reason, code="no_answer") if writes else BrokerUnreachable(reason, code="no_answer")


def root_cause(error: BaseException) -> str:
    """Return what is at the bottom of an error that libraries have wrapped into one another."""
    for _ in range(DEEPEST_CAUSE):
        wrapped = [error.__cause__, getattr(error, "reason", None), *reversed(error.args)]
        inner = next((item for item in wrapped if isinstance(item, BaseException)), None)
        if inner is None:
            break
        error = inner
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON ({error})"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def unreadable(what: str, *, writes: bool) -> BrokerError:
    """Say what an answer means that is JSON but not what was asked for."""
    kind = BrokerOutcomeUnknown if writes else BrokerUnavailable
    return kind(_line(f"the broker's answer cannot be read: {what}"), code="unreadable")


def _line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]
