"""Train LightGBM on the label of the session after the next, the same bytes for the same data, code and seed."""

from signals.training.fit import train
from signals.training.parameters import QLIB_PARAMETERS, parameters_for
from signals.training.result import TrainedModel

__all__ = ["QLIB_PARAMETERS", "TrainedModel", "parameters_for", "train"]
