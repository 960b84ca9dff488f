from marketdata.models.actions import CorporateAction
from marketdata.models.feeds import Feed, Quote
from marketdata.models.gaps import FeedGap, UnreadableFrame
from marketdata.models.imports import BarImport, QuarantinedBar
from marketdata.models.instruments import Instrument
from marketdata.models.statuses import TradingStatus
from marketdata.models.subscriptions import MarketSubscription
from marketdata.models.ticks import TickLoss

__all__ = [
    "BarImport",
    "CorporateAction",
    "Feed",
    "FeedGap",
    "Instrument",
    "MarketSubscription",
    "QuarantinedBar",
    "Quote",
    "TickLoss",
    "TradingStatus",
    "UnreadableFrame",
]
