"""Console and API: the only app with views, consumers and forms."""

from django.apps import AppConfig
from django.conf import settings


class OpsConsoleConfig(AppConfig):
    name = "ops_console"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what the other apps tell, and load everybody's admin where its pages are served."""
        from ops_console.model_news import connect_model_news
        from ops_console.news import connect_news

        connect_news()
        connect_model_news()
        if settings.ADMIN_IS_SERVED:
            from django.contrib import admin

            admin.autodiscover()
