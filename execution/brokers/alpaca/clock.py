"""What time it is at the broker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.brokers.base import BrokerUnavailable
from marketdata.clock import ClockState
from marketdata.types import FeedKind


@dataclass(frozen=True, slots=True)
class BrokerClock:
    """The broker's time; `replay` is its clock when it plays the past, as our emulator does and Alpaca never."""

    at: datetime
    replay: ClockState | None


def read_clock(answer: Mapping[str, Any]) -> BrokerClock:
    """Read the answer of /v2/clock.

    :raises BrokerUnavailable: it tells no time
    """
    try:
        at = _instant(answer["timestamp"])
        replay = answer.get("replay")
        return BrokerClock(at, None if replay is None else _read_replay(replay))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise BrokerUnavailable(f"the broker's clock cannot be read: {error!r}"[:300], code="bad_clock") from None


def _read_replay(replay: Mapping[str, Any]) -> ClockState:
    return ClockState(
        kind=FeedKind.REPLAY,
        start_at=_moment(replay["start_at"]),
        end_at=_moment(replay.get("end_at")),
        speed=Decimal(str(replay["speed"])),
        anchor_at=_moment(replay["anchor_at"]),
        paused_at=_moment(replay.get("paused_at")),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else _instant(text)


def _instant(text: str) -> datetime:
    """Read a time that says where it is.

    :raises ValueError: it does not, or is none
    """
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError(f"{text} without an offset")
    return read
