"""Django application of the trading day."""

from django.apps import AppConfig


class TradingConfig(AppConfig):
    """Runs, replays, and the processes that keep the day going."""

    name = "trading"
    default_auto_field = "django.db.models.BigAutoField"
