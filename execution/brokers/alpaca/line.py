"""One account's line to Alpaca's REST API, shared by everything in a process that uses these keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import structlog
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from requests import Response

from execution.brokers.alpaca.budget import Budget, Purpose
from execution.brokers.alpaca.configuration import AlpacaConfiguration
from execution.brokers.alpaca.failures import TRANSPORT, no_answer, read_failure, refusal_of, write_failure
from execution.brokers.alpaca.pace import Pace
from execution.brokers.alpaca.session import BoundedSession
from execution.brokers.alpaca_modes import KEYS_REFUSED
from execution.brokers.base import (
    BrokerError,
    BrokerOutcomeUnknown,
    BrokerRejected,
    BrokerUnavailable,
    BrokerUnreachable,
)

log = structlog.get_logger(__name__)
UNAUTHORIZED = 401
Answer = TypeVar("Answer")


class Line:
    """Requests as alpaca-py sends them, with an end to waiting, a budget, and errors in the port's words.

    Paths are without the version. Answers are JSON as it came, None for an empty one.
    """

    def __init__(self, configuration: AlpacaConfiguration, *, budget: Budget | None = None) -> None:
        self.configuration = configuration
        self.budget = budget or Budget()
        self.pace = Pace()
        self._client = TradingClient(
            configuration.key_id,
            configuration.secret_key,
            paper=configuration.mode == "alpaca_paper",
            raw_data=True,
            url_override=configuration.base_url,
        )
        # The library waits for ever, and on 429 and 504 sends again by itself, orders too: neither can be told to its
        # constructor.
        self._client._retry = 0
        self._client._session = BoundedSession(
            connect_milliseconds=configuration.connect_milliseconds,
            read_milliseconds=configuration.read_milliseconds,
            heard=self._heard,
        )

    def get(self, path: str, query: Mapping[str, Any] | None = None, *, urgent: bool = False) -> Any:
        """Ask; an urgent question serves a cancel and may use its share of the budget.

        :raises BrokerUnavailable: there was no answer, or none that can be believed
        """
        try:
            return self.get_order(path, query, urgent=urgent)
        except BrokerRejected as refusal:
            raise BrokerUnavailable(f"{path}: {refusal.reason}", code=refusal.code) from None

    def get_order(self, path: str, query: Mapping[str, Any] | None = None, *, urgent: bool = False) -> Any:
        """Ask for something that may not be there.

        :raises BrokerRejected: the API says that it is not there
        :raises BrokerUnavailable: there was no answer, or none that can be believed
        """
        return self._send("GET", path, query, Purpose.CANCEL if urgent else Purpose.READ, writes=False)

    def delete(self, path: str) -> None:
        """Ask for a cancel.

        :raises BrokerRejected: 404 or 422 of the API
        :raises BrokerUnavailable: there was no answer, or none that can be believed
        """
        self._send("DELETE", path, None, Purpose.CANCEL, writes=False)

    def write(self, method: str, path: str, body: Mapping[str, Any], *, read: Callable[[Any], Answer]) -> Answer:
        """Send what opens or changes an order, once, and return what `read` makes of the answer.

        A failure, also of `read`, makes new orders wait; any answer that is understood ends the waiting. Both, and how
        long it took, say how many go at once.
        :raises BrokerRejected: refused for good
        :raises BrokerUnavailable: nothing was sent, or the API refused before looking at it
        :raises BrokerOutcomeUnknown: it may have taken effect
        """
        began = self.pace.now()
        try:
            answer = read(self._send(method, path, body, Purpose.NEW_RISK, writes=True))
        except BrokerRejected:
            self.budget.succeeded()
            self.pace.stumbled()
            raise
        except (BrokerUnavailable, BrokerOutcomeUnknown) as failure:
            self.budget.failed(for_long=failure.code == "keys_refused")
            self.pace.stumbled()
            raise
        self.budget.succeeded()
        self.pace.took(self.pace.now() - began)
        return answer

    def set(self, path: str, body: Mapping[str, Any]) -> None:
        """Change a setting of the account, which may be repeated without harm.

        :raises BrokerUnavailable: ask again
        """
        try:
            self._send("PATCH", path, body, Purpose.CANCEL, writes=True)
        except BrokerUnavailable:
            raise
        except BrokerError as failure:
            raise BrokerUnavailable(failure.reason, code=failure.code) from None

    def close(self) -> None:
        """Close the connections."""
        self._client._session.close()

    def _send(self, method: str, path: str, data: Mapping[str, Any] | None, purpose: Purpose, *, writes: bool) -> Any:
        if not self.budget.take(purpose):
            raise BrokerUnreachable("this minute's requests are used up", code="rate_budget")
        try:
            return self._client._request(method, path, None if data is None else dict(data))
        except APIError as error:
            refusal = refusal_of(error)
            if refusal.status == UNAUTHORIZED and (refusal.is_from_the_broker or not writes):
                raise self._unauthorized(refusal.message) from None
            if method == "DELETE" and refusal.status == 422 and refusal.is_from_the_broker:
                raise BrokerRejected(refusal.message, code=refusal.code) from None
            raise (write_failure(refusal) if writes else read_failure(refusal)) from None
        except TRANSPORT as error:
            failure = no_answer(error, writes=writes, address=self.configuration.base_url)
            log.debug("broker_gave_no_answer", method=method, path=path, code=failure.code, reason=failure.reason)
            raise failure from None

    def _unauthorized(self, message: str) -> BrokerUnavailable:
        """Ask once more: good keys are refused now and then, and one refusal proves nothing."""
        if self.budget.take(Purpose.CANCEL):
            try:
                self._client._request("GET", "/account")
            except APIError as error:
                if refusal_of(error).status == UNAUTHORIZED:
                    log.error("broker_refuses_keys", reason=message)
                    return BrokerUnreachable(f"the broker refuses the keys, twice: {message}", code=KEYS_REFUSED)
            except TRANSPORT as error:
                log.warning("broker_refusal_of_keys_unconfirmed", reason=str(error)[:200])
        return BrokerUnavailable(f"the broker refused the keys once: {message}", code="unauthorized_once")

    def _heard(self, response: Response) -> None:
        self.budget.heard(response.status_code, response.headers)
