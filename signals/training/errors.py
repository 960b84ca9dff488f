"""Why there is no model."""

from signals.errors import SignalError


class TrainingError(SignalError):
    """The data cannot be trained on, or taught nothing; the text says which and what would help."""

    code = "training"
