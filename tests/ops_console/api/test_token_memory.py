"""A worker remembers a token for half a second: nothing but the query is spared."""

from datetime import timedelta
from itertools import count

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries, Settings

from ops_console.models import ApiToken
from ops_console.scopes import Scope
from ops_console.services import tokens
from ops_console.services.tokens import InvalidToken, IssuedToken, authenticate_key, create_token, revoke_token
from tests.factories import WALL_NOW

pytestmark = pytest.mark.django_db
HALF_A_SECOND = 500


@pytest.fixture
def issued(settings: Settings) -> IssuedToken:
    settings.TOKEN_MEMORY_MILLISECONDS = HALF_A_SECOND
    user = User.objects.create_user("program", is_superuser=True)
    token = create_token(user=user, name="program", scope=Scope.TRADE, now=WALL_NOW)
    ApiToken.objects.update(last_used_at=WALL_NOW)
    return token


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [0]
    monkeypatch.setattr(tokens, "monotonic_ns", lambda: now[0] * 1_000_000)
    return now


def test_a_revoked_token_opens_nothing_half_a_second_later(issued: IssuedToken, clock: list[int]) -> None:
    authenticate_key(key=issued.key, now=WALL_NOW)
    revoke_token(token=issued.token, now=WALL_NOW)
    clock[0] = HALF_A_SECOND - 1
    assert authenticate_key(key=issued.key, now=WALL_NOW).username == "program"
    clock[0] = HALF_A_SECOND
    with pytest.raises(InvalidToken, match="revoked"):
        authenticate_key(key=issued.key, now=WALL_NOW)


def test_a_busy_program_costs_one_query(
    issued: IssuedToken, clock: list[int], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    authenticate_key(key=issued.key, now=WALL_NOW)
    with django_assert_num_queries(0):
        for _ in range(3):
            authenticate_key(key=issued.key, now=WALL_NOW)


def test_the_secret_is_compared_every_time(issued: IssuedToken, clock: list[int]) -> None:
    authenticate_key(key=issued.key, now=WALL_NOW)
    other = issued.key[:-1] + ("A" if issued.key[-1] != "A" else "B")
    with pytest.raises(InvalidToken, match="unknown"):
        authenticate_key(key=other, now=WALL_NOW)


def test_expiry_needs_no_query(issued: IssuedToken, clock: list[int]) -> None:
    authenticate_key(key=issued.key, now=WALL_NOW)
    with pytest.raises(InvalidToken, match="expired"):
        authenticate_key(key=issued.key, now=WALL_NOW + timedelta(days=91))


def test_a_use_is_noted_once(issued: IssuedToken, clock: list[int]) -> None:
    later = WALL_NOW + timedelta(minutes=2)
    for _ in range(3):
        authenticate_key(key=issued.key, now=later)
    assert ApiToken.objects.get().last_used_at == later


def test_memory_is_bounded(issued: IssuedToken, clock: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tokens._Memory()
    names = count()
    monkeypatch.setattr(tokens, "_lookup", lambda token_id: (token_id,))
    for _ in range(tokens.MOST_REMEMBERED * 2):
        memory.row(str(next(names)))
    assert len(memory._rows) <= tokens.MOST_REMEMBERED


def test_without_the_setting_every_request_asks(issued: IssuedToken, settings: Settings) -> None:
    settings.TOKEN_MEMORY_MILLISECONDS = 0
    authenticate_key(key=issued.key, now=WALL_NOW)
    revoke_token(token=issued.token, now=WALL_NOW)
    with pytest.raises(InvalidToken, match="revoked"):
        authenticate_key(key=issued.key, now=WALL_NOW)
