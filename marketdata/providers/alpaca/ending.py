"""Why a connection to Alpaca's stream ended, and when to try the next one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from marketdata.types import GapReason


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds of the wall.

    An old connection that died half counts for about 90 s at Alpaca: whoever comes back earlier is refused again.
    """

    first_pause: float = 1
    longest_pause: float = 30
    occupied_pause: float = 90
    not_entitled_pause: float = 1_800
    steady: float = 30
    handshake: float = 10
    ping: float = 10
    poll: float = 2
    silence: float = 3
    check: float = 15
    settle: float = 1


class StreamEnded(Exception):
    """The connection is over; `pause` is how long to wait (seconds), None: as long as it failed before."""

    def __init__(self, reason: GapReason, detail: str, pause: float | None = None) -> None:
        self.reason = reason
        self.detail = detail
        self.pause = pause
        super().__init__(detail)


class NotEntitled(StreamEnded):
    """The subscription of our keys does not contain this feed."""


def ended_by_message(message: Mapping[str, Any], pace: Pace) -> StreamEnded:
    """Return what an error message of the stream means."""
    code = message.get("code")
    detail = f"{code} {message.get('msg', '')}".strip()
    if code == 406:
        return StreamEnded(GapReason.OCCUPIED, detail, pace.occupied_pause)
    if code == 409:
        return NotEntitled(GapReason.NOT_ENTITLED, detail, pace.not_entitled_pause)
    if code in (401, 402, 408):
        return StreamEnded(GapReason.REFUSED, detail)
    if code == 407:
        return StreamEnded(GapReason.SLOW, detail)
    return StreamEnded(GapReason.DISCONNECTED, detail)


def ended_by_error(error: OSError | WebSocketException, pace: Pace) -> StreamEnded:
    """Return what a failed or closed connection means."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status == 429:
            return StreamEnded(GapReason.OCCUPIED, "connections refused (429)", pace.occupied_pause)
        reason = GapReason.REFUSED if status in (401, 403) else GapReason.DISCONNECTED
        return StreamEnded(reason, f"the stream answered {status}")
    if isinstance(error, ConnectionClosed):
        return StreamEnded(GapReason.DISCONNECTED, "the connection was closed")
    if isinstance(error, TimeoutError):
        return StreamEnded(GapReason.DISCONNECTED, "no answer in time")
    return StreamEnded(GapReason.DISCONNECTED, f"no connection: {error}"[:200])
