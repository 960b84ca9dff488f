"""Paces of a second that a test need not wait for; what they mean is tested where the clock is the test's own."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from execution.brokers.alpaca import listener, trade_updates
from execution.services import cross_check, hearing
from tests.execution.updates.line_cases import Desk, emulated
from tests.factories import allow_bursts


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk at an emulator, with a line that looks ten times as often."""
    monkeypatch.setattr(trade_updates, "CHECK_EVERY", timedelta(milliseconds=200))
    monkeypatch.setattr(listener, "GRACE", timedelta(milliseconds=300))
    monkeypatch.setattr(hearing, "PATIENCE", timedelta(milliseconds=700))
    monkeypatch.setattr(cross_check, "CANCEL_REFUSED_AFTER", timedelta(milliseconds=500))
    monkeypatch.setattr(cross_check, "MISSED_AFTER", timedelta(milliseconds=500))
    monkeypatch.setattr(cross_check, "ASKED_AGAIN_AFTER", timedelta(milliseconds=500))
    with emulated() as emulator:
        here = Desk(emulator)
        allow_bursts()
        yield here
