"""What can go wrong while signals are made."""

from datetime import date


class SignalError(Exception):
    """Base of the errors of this app; `code` is stable and counted, the message is for people."""

    code = "signal_error"


class UnknownStrategyError(SignalError):
    """No strategy file defines this name."""

    code = "unknown_strategy"

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no strategy is named {name!r}; known: {', '.join(known)}")
        self.name = name


class UnknownSymbolsError(SignalError):
    """Symbols of the universe that are no instruments."""

    code = "unknown_symbol"

    def __init__(self, symbols: list[str]) -> None:
        super().__init__(f"unknown symbols: {', '.join(symbols)}")
        self.symbols = symbols


class NotASessionError(SignalError):
    """The as-of date is no trading session, so no bar can close on it."""

    code = "not_a_session"

    def __init__(self, as_of: date) -> None:
        super().__init__(f"{as_of.isoformat()} is not a NYSE session")
        self.as_of = as_of


class FutureFeatureError(SignalError):
    """A feature is dated after the as-of date: using it would be looking ahead."""

    code = "future_feature"

    def __init__(self, symbol: str, feature_date: date, as_of: date) -> None:
        super().__init__(
            f"feature of {symbol} is dated {feature_date.isoformat()}, after the as-of date {as_of.isoformat()}"
        )
        self.symbol = symbol


class ModelMissingError(SignalError):
    """A strategy that scores with a model was handed none."""

    code = "no_active_model"

    def __init__(self, strategy: str) -> None:
        super().__init__(f"{strategy} scores with a model and has none: train one and activate it")
        self.strategy = strategy


class MembersMissingError(SignalError):
    """A strategy that asks others was not handed all of them."""

    code = "members_missing"

    def __init__(self, strategy: str, missing: list[str]) -> None:
        super().__init__(f"{strategy} asks other strategies and was not given: {', '.join(missing)}")
        self.missing = missing


class FeatureVersionError(SignalError):
    """The model was trained on other definitions of the features than those that are computed now."""

    code = "feature_version"

    def __init__(self, strategy: str, trained_on: str, computed: str) -> None:
        super().__init__(
            f"the model of {strategy} was trained on features {trained_on}, computed are {computed}: train it again"
        )


class ScoresRejectedError(SignalError):
    """A strategy answered for a symbol twice, or for one it was not asked about."""

    code = "scores_rejected"

    def __init__(self, strategy: str, symbols: list[str]) -> None:
        super().__init__(
            f"{strategy} must score each symbol it is asked about once at most; wrong: {', '.join(symbols)}"
        )
        self.symbols = symbols


class BacktestInputError(SignalError, ValueError):
    """Something that a backtest was given cannot be used; nothing was computed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field}: got {value}, allowed: {allowed}")
        self.field = field
        self.value = str(value)
        self.allowed = allowed
