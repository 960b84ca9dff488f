"""Give the database what the desk needs."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from execution.brokers.base import BrokerError
from marketdata.clock import wall_now
from marketdata.errors import MarketDataError
from trading.services.bootstrap import bootstrap
from trading.services.broker_desk import look_at_broker


class Command(BaseCommand):
    """Idempotent; `up` and `paper_run` call the same service."""

    help = "Make the desk's feed, account, strategies and first trading state where they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the service and name the account."""
        try:
            view = look_at_broker() if settings.BROKER_MODE else None
            account = bootstrap(wall_now=wall_now(), view=view)
        except (BrokerError, MarketDataError) as error:
            raise CommandError(f"{settings.TRADING_MODE}: {error}; nothing was sent") from None
        self.stdout.write(f"desk account {account.name} on feed {account.feed.name}")
