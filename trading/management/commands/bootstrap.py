"""Give the database what the desk needs."""

from typing import Any

from django.core.management.base import BaseCommand

from marketdata.clock import wall_now
from trading.services.bootstrap import bootstrap


class Command(BaseCommand):
    """Idempotent; `up` and `paper_run` call the same service."""

    help = "Make the desk's feed, account, strategies and first trading state where they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the service and name the account."""
        account = bootstrap(wall_now=wall_now())
        self.stdout.write(f"desk account {account.name} on feed {account.feed.name}")
