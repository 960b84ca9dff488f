"""What can go wrong while signals are made."""

from datetime import date


class SignalError(Exception):
    """Base of the errors of this app."""


class UnknownStrategyError(SignalError):
    """No strategy file defines this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no strategy is named {name!r}; known: {', '.join(known)}")
        self.name = name


class UnknownSymbolsError(SignalError):
    """Symbols of the universe that are no instruments."""

    def __init__(self, symbols: list[str]) -> None:
        super().__init__(f"unknown symbols: {', '.join(symbols)}")
        self.symbols = symbols


class NotASessionError(SignalError):
    """The as-of date is no trading session, so no bar can close on it."""

    def __init__(self, as_of: date) -> None:
        super().__init__(f"{as_of.isoformat()} is not a NYSE session")
        self.as_of = as_of


class FutureFeatureError(SignalError):
    """A feature is dated after the as-of date: using it would be looking ahead."""

    def __init__(self, symbol: str, feature_date: date, as_of: date) -> None:
        super().__init__(
            f"feature of {symbol} is dated {feature_date.isoformat()}, after the as-of date {as_of.isoformat()}"
        )
        self.symbol = symbol


class BacktestInputError(SignalError, ValueError):
    """Something that a backtest was given cannot be used; nothing was computed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field}: got {value}, allowed: {allowed}")
        self.field = field
        self.value = str(value)
        self.allowed = allowed
