"""A desk at a broker starts while the broker is away, once it exists; a new one does not."""

from typing import Any

import pytest

from execution.brokers.base import BrokerUnavailable, BrokerUnreachable, WrongAccount
from execution.models import Account
from execution.services.accounts import open_account
from marketdata.services.feeds import follow_clock
from tests.factories import WALL_NOW, D
from trading import preparation
from trading.preparation import prepare

pytestmark = pytest.mark.django_db
AWAY = BrokerUnreachable("the broker cannot be reached at http://127.0.0.1:9: Connection refused", code="unreachable")


@pytest.fixture
def says(market: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the broker of mode alpaca_paper answer with an error."""
    settings.TRADING_MODE = settings.DESK_FEED = "alpaca_paper"
    settings.BROKER_MODE = True

    def answer(error: Exception) -> None:
        def look() -> None:
            raise error

        monkeypatch.setattr(preparation, "look_at_broker", look)

    return answer


def known_desk() -> Account:
    return open_account(
        name="alpaca_paper",
        mode=Account.Mode.ALPACA_PAPER,
        kind=Account.Kind.DESK,
        feed=follow_clock(name="alpaca_paper", state=None, wall_now=WALL_NOW),
        starting_cash=D(100_000),
        wall_now=WALL_NOW,
    )


@pytest.mark.parametrize("error", [AWAY, BrokerUnavailable("the broker answered: busy (HTTP 503)", code="http_503")])
def test_a_desk_that_exists_starts_without_its_broker_and_says_so(says: Any, error: BrokerUnavailable) -> None:
    says(error)
    account = known_desk()
    told: list[str] = []
    prepare(say=told.append)
    assert f"{error.reason}; nothing is sent until it answers as the account that was met first" in told
    assert Account.objects.get().pk == account.pk


def test_a_new_desk_does_not_begin_without_its_broker(says: Any) -> None:
    says(AWAY)
    with pytest.raises(BrokerUnreachable, match="cannot be reached"):
        prepare(say=lambda text: None)
    assert not Account.objects.exists()


@pytest.mark.parametrize(
    "error",
    [
        WrongAccount("another account", code="wrong_account"),
        BrokerUnreachable("the broker refuses the keys, twice", code="keys_refused"),
    ],
)
def test_a_broker_that_refuses_us_ends_the_start_of_a_known_desk_too(says: Any, error: BrokerUnavailable) -> None:
    says(error)
    known_desk()
    with pytest.raises(type(error)):
        prepare(say=lambda text: None)
