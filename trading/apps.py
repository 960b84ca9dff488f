"""Django application of the trading day."""

from typing import Any

from django.apps import AppConfig


class TradingConfig(AppConfig):
    """Runs, replays, and the processes that keep the day going."""

    name = "trading"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Hear of changed limits."""
        from risk.signals import limits_changed

        limits_changed.connect(_hold_to_changed_limits, dispatch_uid="trading.hold_to_changed_limits")


def _hold_to_changed_limits(sender: Any, *, change_id: int, **_: Any) -> None:
    """Cancel what a lowered limit does not allow; should this fail, the next look of the watch does it."""
    from risk.models import LimitChange
    from trading.services.risk_watch import enforce_changed_limits

    change = LimitChange.objects.filter(pk=change_id).first()
    if change is not None:
        enforce_changed_limits(wall_now=change.at)
