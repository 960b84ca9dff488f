"""Words of an order that everybody shares."""

from django.db.models import TextChoices


class Side(TextChoices):
    BUY = "buy", "buy"
    SELL = "sell", "sell"


class OrderType(TextChoices):
    MARKET = "market", "market"
    LIMIT = "limit", "limit"
    STOP = "stop", "stop"
    STOP_LIMIT = "stop_limit", "stop limit"


class TimeInForce(TextChoices):
    DAY = "day", "day"
    GTC = "gtc", "good till canceled"
    IOC = "ioc", "immediate or cancel"
    FOK = "fok", "fill or kill"
    OPG = "opg", "at the open"
    CLS = "cls", "at the close"


class Origin(TextChoices):
    """Who asked for the order; every origin passes the same gate."""

    API = "api", "REST API"
    ALPACA_API = "alpaca_api", "Alpaca-compatible API"
    CONSOLE = "console", "console"
    RUN = "run", "strategy run"
    SLICE = "slice", "slice of a parent order"
    COMMAND = "command", "command line"
    FLATTEN = "flatten", "closing under the kill switch"
    REDUCTION = "reduction", "automatic reduction"
    EXTERNAL = "external", "somebody else at the broker"
    CORRECTION = "correction", "correction of an execution"


AUCTIONS = frozenset({TimeInForce.OPG.value, TimeInForce.CLS.value})
