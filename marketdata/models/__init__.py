from marketdata.models.actions import CorporateAction
from marketdata.models.feeds import Feed, Quote
from marketdata.models.imports import BarImport, QuarantinedBar
from marketdata.models.instruments import Instrument

__all__ = ["BarImport", "CorporateAction", "Feed", "Instrument", "QuarantinedBar", "Quote"]
