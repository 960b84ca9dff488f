"""Ask the broker by client_order_id what it knows of orders, a few at a time."""

from collections.abc import Iterable

from execution.brokers.base import Broker, BrokerError, BrokerOrder, BrokerUnreachable
from execution.models import Order

MOST_ASKED = 10
"""Orders asked about in a round: each is a request that may hang."""


def ask_about(broker: Broker, orders: Iterable[Order]) -> tuple[dict[int, BrokerOrder | None], BrokerError | None]:
    """Return what the broker knows of each order, and what went wrong; when nobody answers the rest is not asked."""
    found: dict[int, BrokerOrder | None] = {}
    failure: BrokerError | None = None
    for order in orders:
        try:
            found[order.pk] = broker.find(order.client_order_id)
        except BrokerUnreachable as error:
            return found, error
        except BrokerError as error:
            failure = error
    return found, failure
