"""Console and API: the only app with views, consumers and forms."""

from django.apps import AppConfig


class OpsConsoleConfig(AppConfig):
    name = "ops_console"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what the other apps tell."""
        from ops_console.news import connect_news

        connect_news()
