"""News of the other apps, told to every web process through Redis: ids only, and never at the cost of the sender.

Whoever misses it (Redis away) learns the same a second later from the database.
"""

import json
from time import monotonic_ns
from typing import Any

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from ops_console.redis_light import redis_client

EVENTS_CHANNEL = "portcullis:events"
PRICES_CHANNEL = "portcullis:prices"
AWAY_MILLISECONDS = 1_000

log = structlog.get_logger(__name__)


class Pace:
    """When the next news of orders may leave this process; a page that missed some looks into the database anyway."""

    def __init__(self) -> None:
        self._next_at = 0

    def admits(self, now: int) -> bool:
        """Tell whether it is time again (nanoseconds)."""
        return now >= self._next_at

    def took(self, now: int, *, sent: bool) -> None:
        """Begin the pause: the ordinary one, or a long one when Redis was away, which every order would wait for."""
        self._next_at = now + (settings.NEWS_PAUSE_MILLISECONDS if sent else AWAY_MILLISECONDS) * 1_000_000


_pace = Pace()


def announce_orders(**ids: Any) -> None:
    """Publish that orders changed, unless the same was said a moment ago.

    Only processes with `NEWS_PAUSE_MILLISECONDS` keep quiet, those that take orders: what they leave out the dispatcher
    says when it takes the order over, and pages look every second.
    """
    if not settings.NEWS_PAUSE_MILLISECONDS:
        announce("orders", **ids)
        return
    now = monotonic_ns()
    if _pace.admits(now):
        sent = announce("orders", **ids)
        _pace.took(monotonic_ns(), sent=sent)


def announce(kind: str, **ids: Any) -> bool:
    """Publish one event; a Redis that is away is noted and forgotten. Return whether it was sent."""
    try:
        redis_client().publish(EVENTS_CHANNEL, json.dumps({"kind": kind, **ids}, default=str))
    except RedisError as error:
        log.info("console.news_not_sent", kind=kind, error=str(error))
        return False
    return True


def on_orders_changed(sender: object, *, account_id: int, order_ids: list[int], **_: Any) -> None:
    """Tell that orders took a step."""
    announce_orders(account_id=account_id, order_ids=order_ids)


def on_positions_changed(sender: object, *, account_id: int, position_ids: list[int], **_: Any) -> None:
    """Tell that positions moved."""
    announce("positions", account_id=account_id, position_ids=position_ids)


def on_trading_state_changed(sender: object, *, scope: str, **_: Any) -> None:
    """Tell that a kill switch or a breaker was turned."""
    announce("trading_state", scope=scope)


def connect_news() -> None:
    """Listen to the other apps; called once when Django starts."""
    from execution.signals import orders_changed, positions_changed
    from risk.signals import limits_changed, trading_state_changed

    orders_changed.connect(on_orders_changed, dispatch_uid="console.orders")
    positions_changed.connect(on_positions_changed, dispatch_uid="console.positions")
    trading_state_changed.connect(on_trading_state_changed, dispatch_uid="console.trading_state")
    limits_changed.connect(on_limits_changed, dispatch_uid="console.limits")


def on_limits_changed(sender: object, *, change_id: int, **_: Any) -> None:
    """Tell that a limit was changed."""
    announce("limits", change_id=change_id)
