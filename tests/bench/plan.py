"""How much effort a run takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """Seconds a measurement, repeats of each, and the servers' options besides the ordinary ones."""

    repeats: int = 3
    seconds: float = 4.0
    warm_up_seconds: float = 1.5
    sessions: int = 60
    gunicorn: tuple[str, ...] = ()


FULL = Effort()
QUICK = Effort(repeats=1, seconds=1.5, warm_up_seconds=0.7, sessions=12)
