"""What trips the breaker by itself: a snapshot in, readings out. Pure."""

from risk.breaker_rules.causes import CAUSES, Cause, CauseRule
from risk.breaker_rules.judgement import Judgement, judge, looks_needed
from risk.breaker_rules.readings import Reading, Snapshot, Verdict, readings_of

__all__ = [
    "CAUSES",
    "Cause",
    "CauseRule",
    "Judgement",
    "Reading",
    "Snapshot",
    "Verdict",
    "judge",
    "looks_needed",
    "readings_of",
]
