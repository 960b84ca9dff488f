"""A kind of job that does nothing but pass time: to see that jobs run, tell where they are, and can be canceled."""

import threading
from typing import Any

from signals.parameters import Parameters
from signals.progress import Progress

LONGEST_SECONDS = 3_600
STEPS_A_SECOND = 4


def check_wait(given: dict[str, Any]) -> dict[str, Any]:
    """Read how long to wait (seconds)."""
    read = Parameters(given)
    seconds = read.whole("seconds", 10, least=0, most=LONGEST_SECONDS)
    read.finish()
    return {"seconds": seconds}


def wait(parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Let the time pass in quarters of a second."""
    steps = parameters["seconds"] * STEPS_A_SECOND
    pause = threading.Event()
    for step in range(steps):
        progress(step, steps, "waiting")
        pause.wait(1 / STEPS_A_SECOND)
    progress(steps, steps, "waited")
    return {"seconds": parameters["seconds"]}
