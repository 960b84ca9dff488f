"""What risk services refuse, in the operator's words."""


class RiskError(Exception):
    """Base of every refusal of this app; `code` is stable, the message is for people."""

    code = "risk_error"


class InvalidReason(RiskError):
    """The reason is shorter than 10 or longer than 500 characters."""

    code = "invalid_reason"


class InvalidScope(RiskError):
    """The scope is not `global`, `strategy:NAME`, `symbol:NAME` or `account:NAME`."""

    code = "invalid_scope"


class InvalidLevel(RiskError):
    """The level is not one of the ladder, or not below the one in force."""

    code = "invalid_level"


class WrongWord(RiskError):
    """The word that confirms a release is not the scope's."""

    code = "wrong_word"


class AlreadyInState(RiskError):
    """The switch or breaker is already where it was asked to go."""

    code = "already_in_state"


class TooSoon(RiskError):
    """The switch changed that way less than a minute ago."""

    code = "too_soon"


class SecondOperatorRequired(RiskError):
    """Releasing needs a second, different operator."""

    code = "second_operator_required"


class RequestNotPending(RiskError):
    """The request was decided before, or has expired."""

    code = "request_not_pending"


class InvalidLimit(RiskError):
    """The limit is unknown or its value is out of range."""

    code = "invalid_limit"


class AlertOver(RiskError):
    """The alert is over, or there never was one."""

    code = "alert_over"
