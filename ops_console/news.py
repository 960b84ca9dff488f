"""News of the other apps, told to every web process through Redis: ids only, and never at the cost of the sender.

Whoever misses it (Redis away) learns the same a second later from the database.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from ops_console.messenger import Messenger
from ops_console.snapshot.redis_light import redis_client

EVENTS_CHANNEL = "portcullis:events"
PRICES_CHANNEL = "portcullis:prices"

log = structlog.get_logger(__name__)


def announce(kind: str, **ids: Any) -> None:
    """Publish one event: now, or in the processes that have a pause between news, from a thread a moment later."""
    messenger = _messenger(settings.NEWS_PAUSE_MILLISECONDS)
    if messenger is None:
        publish(kind, ids)
    else:
        messenger.post(kind, ids)


@lru_cache(maxsize=2)
def _messenger(pause_milliseconds: int) -> Messenger | None:
    return Messenger(publish, pause_milliseconds=pause_milliseconds) if pause_milliseconds else None


def publish(kind: str, ids: Mapping[str, Any]) -> None:
    """Tell every web process; a Redis that is away is noted and forgotten."""
    try:
        redis_client().publish(EVENTS_CHANNEL, json.dumps({"kind": kind, **ids}, default=str))
    except RedisError as error:
        log.info("console.news_not_sent", kind=kind, error=str(error))


def on_orders_changed(sender: object, *, account_id: int, order_ids: list[int], **_: Any) -> None:
    """Tell that orders took a step."""
    announce("orders", account_id=account_id, order_ids=order_ids)


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
