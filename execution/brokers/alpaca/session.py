"""HTTP with an end: every request has timeouts, and afterwards it is known whether any of it was sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

THREAD = threading.local()
CANCEL_SECONDS = 2
"""A cancel that is not answered by then is sent again, which harms nobody; others must not wait for it."""


class NoAnswerOfTheBroker(RequestException):
    """A redirect: whoever answered, it was not the broker's API."""


class _Watched(HTTPConnection):
    """A connection that notes when the first byte of a request goes out; connecting and TLS are no request yet."""

    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()
        finally:
            self._connecting = False

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if not self._connecting:
            THREAD.sent = True
        super().send(data)


class _WatchedTLS(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _PoolTLS(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


class _Adapter(HTTPAdapter):
    """Watched connections, and no retries of its own: a second POST is never the library's decision."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        _watch(manager)
        return manager


def _watch(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTLS}


class BoundedSession(Session):
    """A session for the client library, which itself sets no timeout and follows nothing."""

    def __init__(self, *, connect_milliseconds: int, read_milliseconds: int, heard: Callable[[Response], None]) -> None:
        """`heard` is told of every answer, whatever its status."""
        super().__init__()
        self._timeouts = (connect_milliseconds / 1000, read_milliseconds / 1000)
        self._heard = heard
        self.auth = _as_it_is  # a .netrc of this machine must not replace the keys
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def request(self, method: str, url: str | bytes, *args: Any, **kwargs: Any) -> Response:
        """Send a request and read its whole answer.

        :raises NoAnswerOfTheBroker: a redirect
        """
        THREAD.sent = False
        connecting, reading = self._timeouts
        kwargs["timeout"] = (connecting, min(reading, CANCEL_SECONDS) if method == "DELETE" else reading)
        response = super().request(method, url, *args, **kwargs)
        self._heard(response)
        if 300 <= response.status_code < 400:
            raise NoAnswerOfTheBroker(f"redirected with {response.status_code}", response=response)
        return response


def was_sent() -> bool:
    """Tell whether anything of this thread's newest request left the machine."""
    return bool(getattr(THREAD, "sent", False))


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    return request
