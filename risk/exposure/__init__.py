"""What is held against its limits: what has passed one, what has to go, what makes it worse. Pure."""

from risk.exposure.lines import HeldLine
from risk.exposure.overcommitted import overcommitted, to_cancel
from risk.exposure.passed import Passed, passed_limits, worsening
from risk.exposure.reduction import Reduction, next_reduction

__all__ = [
    "HeldLine",
    "Passed",
    "Reduction",
    "next_reduction",
    "overcommitted",
    "passed_limits",
    "to_cancel",
    "worsening",
]
