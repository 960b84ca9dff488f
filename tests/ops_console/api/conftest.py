"""A desk that may trade, and callers of every scope."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from execution.models import Account
from marketdata.clock import wall_now
from ops_console.api.desk import forget_account
from ops_console.api.throttling import limiter
from ops_console.scopes import Scope
from ops_console.services.tokens import create_token
from tests.factories import allow_bursts, make_account
from tests.ops_console.api.contract import ContractClient

ROLE_OF = {Scope.READ: "viewer", Scope.TRADE: "trader", Scope.RISK: "risk_officer", Scope.ADMIN: "admin"}
Client = Callable[..., APIClient]


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Forget what a process remembers between requests."""
    limiter.forget()
    forget_account()
    yield
    forget_account()


@pytest.fixture
def account(db: None) -> Account:
    """Return the desk's account, which may trade AAPL at 100."""
    made = make_account(name="paper")
    allow_bursts()
    return made


@pytest.fixture
def client_of(db: None) -> Client:
    """Return a maker of clients that hold a token of the scope, owned by a user of the role of the same strength."""

    def make(scope: Scope = Scope.TRADE, name: str = "", role: Scope | None = None) -> APIClient:
        user = make_user(name or f"{scope.value}-user", role or scope)
        issued = create_token(user=user, name="test", scope=scope, now=wall_now(), lifetime=timedelta(days=1))
        client = ContractClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Token {issued.key}")
        return client

    return make


@pytest.fixture
def trader(client_of: Client) -> APIClient:
    """Return a client with scope trade."""
    return client_of(Scope.TRADE)


def make_user(name: str, role: Scope | None) -> User:
    """Make a person with the role of that strength."""
    user, _created = User.objects.get_or_create(username=name)
    if role is not None:
        user.groups.add(Group.objects.get_or_create(name=ROLE_OF[role])[0])
    return user
