"""What the gate refuses with."""

from dataclasses import dataclass
from enum import StrEnum


class DenialCode(StrEnum):
    """Rules of the gate, in the order in which they are reported."""

    KILL_SWITCH = "KILL_SWITCH"
    CIRCUIT_BREAKER = "CIRCUIT_BREAKER"
    RECONCILIATION_PENDING = "RECONCILIATION_PENDING"
    STRATEGY_DISABLED = "STRATEGY_DISABLED"
    VERSION_MISMATCH = "VERSION_MISMATCH"
    CLOCK_SKEW = "CLOCK_SKEW"
    SIGNALS_STALE = "SIGNALS_STALE"
    MODEL_UNAPPROVED = "MODEL_UNAPPROVED"
    INVALID_QUANTITY = "INVALID_QUANTITY"
    INVALID_PRICE = "INVALID_PRICE"
    INVALID_COMBINATION = "INVALID_COMBINATION"
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    NOT_TRADABLE = "NOT_TRADABLE"
    RESTRICTED = "RESTRICTED"
    HALTED = "HALTED"
    MARKET_CLOSED = "MARKET_CLOSED"
    AUCTION_WINDOW = "AUCTION_WINDOW"
    PRICE_UNAVAILABLE = "PRICE_UNAVAILABLE"
    PRICE_STALE = "PRICE_STALE"
    PRICE_COLLAR = "PRICE_COLLAR"
    NBBO_COLLAR = "NBBO_COLLAR"
    LULD_BAND = "LULD_BAND"
    FAT_FINGER_QUANTITY = "FAT_FINGER_QUANTITY"
    FAT_FINGER_NOTIONAL = "FAT_FINGER_NOTIONAL"
    ADV_LIMIT = "ADV_LIMIT"
    REDUCE_ONLY = "REDUCE_ONLY"
    NOT_SHORTABLE = "NOT_SHORTABLE"
    PARENT_EXCEEDED = "PARENT_EXCEEDED"
    SELF_TRADE = "SELF_TRADE"
    ORDER_INTERVAL = "ORDER_INTERVAL"
    ORDER_RATE = "ORDER_RATE"
    MESSAGE_RATE = "MESSAGE_RATE"
    DUPLICATE_ORDER = "DUPLICATE_ORDER"
    REPEATED_ORDERS = "REPEATED_ORDERS"
    OPEN_ORDER_LIMIT = "OPEN_ORDER_LIMIT"
    SYMBOL_ORDER_LIMIT = "SYMBOL_ORDER_LIMIT"
    POSITION_LIMIT = "POSITION_LIMIT"
    NOTIONAL_LIMIT = "NOTIONAL_LIMIT"
    SECTOR_LIMIT = "SECTOR_LIMIT"
    GROSS_LIMIT = "GROSS_LIMIT"
    NET_LIMIT = "NET_LIMIT"
    NAME_LIMIT = "NAME_LIMIT"
    TURNOVER_LIMIT = "TURNOVER_LIMIT"
    BUYING_POWER = "BUYING_POWER"
    DAILY_LOSS = "DAILY_LOSS"
    WEEKLY_LOSS = "WEEKLY_LOSS"
    INTRADAY_LOSS = "INTRADAY_LOSS"
    DRAWDOWN = "DRAWDOWN"


@dataclass(frozen=True, slots=True)
class Denial:
    """One rule's refusal with the numbers it compared; both as text so that a NaN can be told as well."""

    code: DenialCode
    message: str
    limit: str = ""
    observed: str = ""
    scope: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the form that is stored and sent to clients."""
        return {
            "code": self.code.value,
            "message": self.message,
            "limit": self.limit,
            "observed": self.observed,
            "scope": self.scope,
        }
