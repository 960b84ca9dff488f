"""Console and API: the only app with views, consumers and forms."""

from django.apps import AppConfig


class OpsConsoleConfig(AppConfig):
    name = "ops_console"
    default_auto_field = "django.db.models.BigAutoField"
