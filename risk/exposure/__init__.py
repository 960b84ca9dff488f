"""What is held against its limits: what has passed one, what has to go, what makes it worse. Pure."""

from risk.exposure.lines import HeldLine
from risk.exposure.passed import Passed, passed_limits, worsening
from risk.exposure.reduction import Reduction, next_reduction

__all__ = ["HeldLine", "Passed", "Reduction", "next_reduction", "passed_limits", "worsening"]
