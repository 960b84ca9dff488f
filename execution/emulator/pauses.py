"""How long a fault of the network lasts, in wall time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from execution.emulator.faults import Fault


def fault_pause(fault: Fault, default: timedelta) -> timedelta:
    """Return the fault's `seconds`."""
    seconds = fault.seconds()
    return default if seconds is None else timedelta(microseconds=int(seconds * 1_000_000))


async def pause(length: timedelta, *, until: asyncio.Event) -> None:
    """Wait so long, or until the event is set, whichever is first."""
    try:
        async with asyncio.timeout(length.total_seconds()):
            await until.wait()
    except TimeoutError:
        return
