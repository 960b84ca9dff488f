"""The look at a kept connection is spared only right after a use."""

from threading import local

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections

from trading import kept_connection


def test_only_a_connection_that_was_just_used_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    instants = iter((100, 100 + kept_connection.TRUSTED_SECONDS - 1, 100 + 2 * kept_connection.TRUSTED_SECONDS))
    monkeypatch.setattr(kept_connection, "monotonic", lambda: next(instants))
    monkeypatch.setattr(kept_connection, "_thread", local())
    # Behind the thread's proxy: pytest would take back from the proxy what it never held, and with it Django's own.
    monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "health_check_done", None)
    trusted = []
    for _ in range(3):
        kept_connection.trust_recent_use()
        trusted.append(connection.health_check_done)
    assert trusted == [False, True, False]
