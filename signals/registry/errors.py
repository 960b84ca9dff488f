"""What the registry refuses, in the operator's words; `code` is stable."""

from signals.errors import SignalError


class ModelError(SignalError):
    """Base of every refusal of the registry."""

    code = "model_error"


class UnknownModelError(ModelError):
    """There is no such version."""

    code = "unknown_model"


class NoActiveModelError(ModelError):
    """The strategy has no active version."""

    code = "no_active_model"


class ArtefactError(ModelError):
    """The file of a version must not be used: missing, of another size, altered, unsigned or not what was trained."""

    code = "model_artefact"


class ModelStepError(ModelError):
    """The version cannot go where it was asked to go."""

    code = "model_step"


class ApprovalRequiredError(ModelError):
    """Another person has to agree first."""

    code = "second_operator_required"


class ApprovalNotPendingError(ModelError):
    """The request was decided before, or its time is over."""

    code = "request_not_pending"


class ModelReasonError(ModelError):
    """The reason is shorter than 10 or longer than 500 characters."""

    code = "invalid_reason"


class SigningKeyError(ModelError):
    """There is no key to sign with."""

    code = "model_signing_key"
