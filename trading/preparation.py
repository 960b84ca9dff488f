"""What an installation needs before its processes start; doing it again changes nothing and is quick."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from io import StringIO

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command

from execution.brokers.alpaca_modes import KEYS_REFUSED
from execution.brokers.base import BrokerUnavailable, BrokerUnreachable
from execution.selectors import desk_account
from marketdata.clock import wall_now
from marketdata.models import Feed, Instrument
from marketdata.selectors import coverage
from marketdata.services.feeds import continue_after_downtime, set_feed_speed
from marketdata.services.sample import import_sample
from marketdata.types import FeedKind
from risk.services.releases import announce_release
from trading.services.bootstrap import bootstrap
from trading.services.broker_desk import look_at_broker
from trading.services.start_line import hold

OPERATOR = "up"
Say = Callable[[str], None]

FIRST_PEOPLE = (("operator", "admin"), ("second-operator", "risk_officer"))  # releasing the kill switch takes two


@contextmanager
def step(say: Say, name: str) -> Iterator[None]:
    """Tell that a step was done, and how long it took."""
    started = time.monotonic()
    yield
    say(f"{name} ({time.monotonic() - started:.1f} s)")


def prepare(*, say: Say, speed: Decimal | None = None) -> dict[str, str]:
    """Bring the database up to date, fill an empty one, and return the passwords of people made just now.

    Where the trading mode has a broker on a network, it is asked first. A new desk does not begin without its answer;
    one that exists starts while the broker is away, so that its console and kill switch are there, and sends nothing.
    :raises BrokerError, ClockRefusedError: the broker cannot be asked, or is not the one that was met first
    """
    view, away = None, None
    if settings.BROKER_MODE:
        try:
            with step(say, "broker answers"):
                view = look_at_broker()
        except BrokerUnavailable as error:
            if not is_away(error):
                raise
            away = error
    with step(say, "database up to date"):
        call_command("migrate", verbosity=0, interactive=False)
    if away is not None:
        require_known_desk(away, say)
    else:
        with step(say, "feed, account, strategies"):
            feed = bootstrap(wall_now=wall_now(), view=view).feed
    announce_release(operator=OPERATOR, now=wall_now())
    if coverage().is_empty() or not Instrument.objects.exists():  # a new database may find an old lake
        with step(say, "sample bars imported"):
            import_sample(wall_now=wall_now())
    with step(say, "people"):
        passwords = create_first_people()
    if not settings.BROKER_MODE:
        start_feed(feed, speed)
    return passwords


def is_away(error: BrokerUnavailable) -> bool:
    """Tell whether nobody could answer, as opposed to somebody who refuses us."""
    if error.code == KEYS_REFUSED:
        return False
    return isinstance(error, BrokerUnreachable) or error.code.startswith("http_5")


def require_known_desk(away: BrokerUnavailable, say: Say) -> None:
    """Go on without the broker where the desk exists; its processes wait for the answer.

    :raises BrokerUnavailable: there is no desk yet
    """
    if desk_account(str(settings.TRADING_MODE)) is None:
        raise away
    say(f"{away.reason}; nothing is sent until it answers as the account that was met first")


def create_first_people() -> dict[str, str]:
    """Make the first two people of an installation that has nobody; return their generated passwords."""
    if get_user_model().objects.exists():
        return {}
    return {name: create_person(name, role) for name, role in FIRST_PEOPLE}


def create_person(name: str, role: str) -> str:
    """Make one person by the console's own command, and return the password that it prints."""
    printed = StringIO()
    call_command("create_user_with_role", name, role, stdout=printed, stderr=StringIO())
    return printed.getvalue().strip()


def start_feed(feed: Feed, speed: Decimal | None) -> None:
    """Stand a replay where it was when the processes last ran, at another speed where one is given.

    The clock process lets it go when everybody is there.
    """
    if feed.kind != FeedKind.REPLAY:
        return
    hold(feed=continue_after_downtime(feed=feed, wall_now=wall_now()), wall_now=wall_now())
    if speed is not None:
        set_feed_speed(feed=feed, speed=speed, wall_now=wall_now())
