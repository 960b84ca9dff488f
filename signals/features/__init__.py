"""Alpha158: the features of Qlib's handler of that name, one definition for research, training and live signals."""

from signals.features.compute import alpha158, alpha158_by_groups, alpha158_newest
from signals.features.definitions import FEATURES, LOOKBACK
from signals.features.errors import UnusableBars
from signals.features.version import feature_version

__all__ = [
    "FEATURES",
    "LOOKBACK",
    "UnusableBars",
    "alpha158",
    "alpha158_by_groups",
    "alpha158_newest",
    "feature_version",
]
