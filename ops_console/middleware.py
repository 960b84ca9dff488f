"""A name for every request, in every log line and in the answer; and a connection of its own for the kill switch."""

import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

HEADER = "X-Request-ID"
SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")
EMERGENCY = ("/kill-switch/", "/api/v1/kill-switch")
"""Addresses that must answer while every connection of the pool waits for something."""


@sync_and_async_middleware
def request_id(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Take the caller's request id when it is sane, else make one; put it on the request, the log and the answer."""
    if iscoroutinefunction(get_response):
        return _asynchronous(get_response)
    return _synchronous(get_response)


def _synchronous(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        name = _begin(request)
        response = get_response(request)
        response.headers[HEADER] = name
        return response

    return middleware


def _asynchronous(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    async def middleware(request: HttpRequest) -> HttpResponseBase:
        name = _begin(request)
        response = await get_response(request)
        response.headers[HEADER] = name
        return response

    return middleware


def _begin(request: HttpRequest) -> str:
    given = str(request.META.get("HTTP_X_REQUEST_ID", ""))
    name = given if SANE.fullmatch(given) else secrets.token_hex(16)
    request.request_id = name  # type: ignore[attr-defined]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=name)
    return name


def emergency_connection(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], Any]:
    """Let everything about the kill switch go past the pool, over a connection that is opened for the request."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(EMERGENCY):
            return get_response(request)
        with past_the_pool():
            return get_response(request)

    return middleware


@contextmanager
def past_the_pool() -> Iterator[None]:
    """Give this thread a connection of its own until the end of the block; without a pool nothing changes."""
    connection = connections[DEFAULT_DB_ALIAS]
    pooled = connection.settings_dict
    if not pooled["OPTIONS"].get("pool"):
        yield
        return
    connection.close()
    options = {name: value for name, value in pooled["OPTIONS"].items() if name != "pool"}
    connection.settings_dict = {**pooled, "OPTIONS": options}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = pooled
