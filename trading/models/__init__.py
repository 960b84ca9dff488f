"""What the trading day remembers, one noun a file: runs and their steps, replays, signs of life, long work."""

from trading.models.jobs import Job
from trading.models.replays import ReplayRun
from trading.models.runs import Run, RunStep
from trading.models.signs import FeedProgress, Heartbeat

__all__ = ["FeedProgress", "Heartbeat", "Job", "ReplayRun", "Run", "RunStep"]
