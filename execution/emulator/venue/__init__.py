"""The emulated broker's account: orders, positions, cash, and the rules of the broker, without any network.

`venue` is what others call; `entry`, `admission` take orders in, `life` is what happens to them, `canceling` and
`replacing` what is asked for later, `sessions` lets the market go on, `corporate` splits and pays, `closing` closes
positions, `steering` is what the client has no part in, `reads` and `queries` answer; `state`, `orders`, `ledger` and
`values` are what there is.
"""

from execution.emulator.venue.queries import ActivityQuery, HistoryQuery, OrderQuery
from execution.emulator.venue.settings import VenueSettings
from execution.emulator.venue.venue import Venue

__all__ = ["ActivityQuery", "HistoryQuery", "OrderQuery", "Venue", "VenueSettings"]
