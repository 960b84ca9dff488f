"""Ask the broker by client_order_id what it knows of orders, a few at a time."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from execution.brokers.base import Broker, BrokerError, BrokerOrder, BrokerUnreachable
from execution.models import Order

MOST_ASKED = 10
"""Orders asked about in a round: each is a request that may hang."""


def ask_about(
    broker: Broker, orders: Iterable[Order], known: Mapping[str, BrokerOrder] | None = None
) -> tuple[dict[int, BrokerOrder | None], BrokerError | None]:
    """Return what the broker knows of each order, and what went wrong; when nobody answers the rest is not asked.

    What is among the `known`, by client_order_id, need not be asked for: it was in a list a moment ago.
    """
    found: dict[int, BrokerOrder | None] = {}
    failure: BrokerError | None = None
    for order in orders:
        if known and order.client_order_id in known:
            found[order.pk] = known[order.client_order_id]
            continue
        try:
            found[order.pk] = broker.find(order.client_order_id)
        except BrokerUnreachable as error:
            return found, error
        except BrokerError as error:
            failure = error
    return found, failure


def in_turn(orders: list[Order], wall_now: datetime) -> list[Order]:
    """Begin anywhere (the microsecond is a die), so that one which cannot be asked about keeps no other waiting."""
    start = wall_now.microsecond % max(len(orders), 1)
    return orders[start:] + orders[:start]
