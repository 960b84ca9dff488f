"""Work for the engines: functions that other processes import."""

import os
import signal
import time
from pathlib import Path


def add(shared: int, part: int) -> int:
    """Return the sum."""
    return shared + part


def fail(shared: object, part: int) -> int:
    """Fail on one part."""
    if part == 1:
        raise ValueError(f"no such part: {part}")
    return part


def die_once(shared: str, part: int) -> int:
    """Kill the own process on the part 2, the first time."""
    mark = Path(shared) / "died"
    if part == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return part * 10


def die_always(shared: object, part: int) -> int:
    """Kill the own process on the part 2."""
    if part == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return part


def linger(shared: float, part: int) -> int:
    """Take some seconds."""
    time.sleep(shared)
    return part


def hill(chosen: dict[str, int | float | str]) -> float | None:
    """Return what is largest at 30 and y."""
    place = float(chosen["a"])
    return None if place == 7 else -((place - 30) ** 2) + (5 if chosen["b"] == "y" else 0)
