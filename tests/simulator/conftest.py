"""What every simulated world stands on."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.factories import allow, allow_bursts


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Carry the requests."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(autouse=True)
def _limits(transactional_db: None) -> None:
    """Let the gate have something to say, but not about pace."""
    allow_bursts()
    allow(daily_loss_pct=100, weekly_loss_pct=100, max_position_quantity=150, auction_quiet_minutes=0)
