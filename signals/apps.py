"""Django application of signals."""

from django.apps import AppConfig


class SignalsConfig(AppConfig):
    """Strategies and the signals they gave."""

    name = "signals"
    default_auto_field = "django.db.models.BigAutoField"
