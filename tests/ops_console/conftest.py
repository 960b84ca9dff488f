"""A desk, and people with each role in front of it."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client

from execution.models import Account
from ops_console.scopes import ROLE_SCOPES
from ops_console.services.roles import ensure_roles
from tests.factories import allow_bursts, make_account

PASSWORD = "correct horse battery"
Visitor = Callable[[str], Client]


@pytest.fixture
def desk(db: None) -> Account:
    """Return the desk's account, which may trade AAPL at 100."""
    account = make_account(name="paper")
    allow_bursts()
    return account


@pytest.fixture
def visitor(db: None) -> Visitor:
    """Return a maker of browsers, logged in with the role; the user has the role's name."""
    cache.clear()
    ensure_roles()

    def make(role: str) -> Client:
        client = Client()
        client.force_login(make_person(role))
        return client

    return make


def make_person(role: str, name: str = "") -> User:
    """Make a user with the role, or with none for any other word."""
    user, _created = User.objects.get_or_create(username=name or role)
    user.set_password(PASSWORD)
    user.is_staff = True
    user.save()
    if role in ROLE_SCOPES:
        user.groups.set([Group.objects.get(name=role)])
    return user
