"""Fill the outpost's empty database: a desk at the emulator, limits out of reach, one person, one key.

A process of its own, because its settings are those of the platform's processes and not those of the tests:
`python -m tests.faults.outpost_seed` prints one JSON object.
"""

import json
import os
import sys

import django

PASSWORD = "correct horse battery"
PILOT = "pilot"
BOUNDS, LOSSES = "max_", ("_loss_pct", "drawdown_pct")
"""Limits that no load may reach: every one is still read, resolved and compared."""


def main() -> None:
    """Make everything that the processes need, and say who may come in."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "trading.settings"
    django.setup()
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client

    from marketdata.services.feeds import create_manual_feed
    from ops_console.scopes import Scope
    from ops_console.services.roles import ensure_roles
    from ops_console.services.tokens import create_token
    from risk.limits import LIMITS
    from tests.bench.seeding import CASH, quote, wall_now
    from tests.factories import MARKET_AT, allow, make_account

    call_command("migrate", verbosity=0, interactive=False)
    ensure_roles()
    feed = create_manual_feed(name=settings.DESK_FEED, market_at=MARKET_AT)
    mode = str(settings.TRADING_MODE)
    account = make_account(name=mode, mode=mode, feed=feed, starting_cash=CASH)
    quote(feed, ("AAPL", "FB", "GOOG", "IBM", "MSFT"))
    bounds = {name: limit.maximum for name, limit in LIMITS.items() if name.startswith(BOUNDS) or name.endswith(LOSSES)}
    allow(**bounds, min_order_interval_seconds=0, identical_window_seconds=0)
    pilot = User.objects.create_superuser(PILOT, password=PASSWORD)
    key = create_token(user=pilot, name="outpost", scope=Scope.RISK, now=wall_now()).key
    browser = Client()
    browser.force_login(pilot)
    cookie = browser.cookies[str(settings.SESSION_COOKIE_NAME)].value
    sys.stdout.write(json.dumps({"account": account.pk, "feed": feed.pk, "key": key, "cookie": cookie}))


if __name__ == "__main__":
    main()
