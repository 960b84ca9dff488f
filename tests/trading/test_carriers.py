"""A desk at a broker goes through its day although nobody tells the newest prices."""

from typing import Any

import pytest

from marketdata.errors import MarketDataError
from marketdata.services.feeds import follow_clock
from tests.factories import WALL_NOW
from trading.services import carriers
from trading.services.carriers import BrokerCarrier

pytestmark = pytest.mark.django_db


def test_prices_that_cannot_be_had_keep_no_boundary_waiting(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DESK_FEED = "alpaca_paper"
    follow_clock(name="alpaca_paper", state=None, wall_now=WALL_NOW)

    def away(*_: object) -> None:
        raise MarketDataError("nobody answers")

    monkeypatch.setattr(carriers, "poll_latest_quotes", away)
    carrier = object.__new__(BrokerCarrier)  # without its live market, which would listen on a network
    assert carrier._latest_quotes() == ()
