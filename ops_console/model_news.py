"""Loads of models in this process, turned into alerts; the time is read here."""

import socket
from typing import Any

import structlog
from django.conf import settings
from django.db import Error

from marketdata.clock import wall_now
from trading.services.model_alerts import tell_failed_load, tell_good_load

log = structlog.get_logger(__name__)


def connect_model_news() -> None:
    """Listen to loads of models; called once when Django starts."""
    from signals.news import model_loaded, model_reload_failed

    model_loaded.connect(on_model_loaded, dispatch_uid="console.model_loaded")
    model_reload_failed.connect(on_model_reload_failed, dispatch_uid="console.model_reload_failed")


def on_model_reload_failed(
    sender: object, *, version_id: int, strategy: str, kept_id: int | None, reason: str, **_: Any
) -> None:
    """Raise the alert; that the database is away as well must not keep the model from going on."""
    try:
        tell_failed_load(
            strategy=strategy,
            version_id=version_id,
            kept_id=kept_id,
            reason=reason,
            process=this_process(),
            now=wall_now(),
        )
    except Error as error:
        log.error("model_alert_not_stored", strategy=strategy, error=str(error).strip())


def on_model_loaded(sender: object, *, strategy: str, **_: Any) -> None:
    """Say that it is over."""
    try:
        tell_good_load(strategy=strategy, process=this_process(), now=wall_now())
    except Error as error:
        log.error("model_alert_not_resolved", strategy=strategy, error=str(error).strip())


def this_process() -> str:
    """Return which kind of process this is, and on which machine."""
    return f"{settings.PROCESS_ROLE}@{socket.gethostname()}"
