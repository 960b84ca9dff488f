"""Tokens: hashed at rest, expiring, revocable, counted once a minute."""

from datetime import timedelta
from io import StringIO
from logging import Logger, StreamHandler
from typing import Any

import pytest
import structlog
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from execution.models import Account
from marketdata.clock import wall_now
from ops_console.models import ApiToken
from ops_console.scopes import Scope
from ops_console.services.tokens import (
    InvalidToken,
    InvalidTokenRequest,
    authenticate_key,
    create_token,
    revoke_token,
)
from tests.ops_console.api.bodies import ORDERS, order
from tests.ops_console.api.conftest import make_user
from trading.log_config import renderers, shared_processors

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def issue(**fields: Any) -> Any:
    values: dict[str, Any] = {
        "user": make_user("ann", Scope.ADMIN),
        "name": "t",
        "scope": Scope.TRADE,
        "now": wall_now(),
        "lifetime": DAY,
    }
    return create_token(**values | fields)


def test_the_key_is_nowhere_in_the_database() -> None:
    key = issue().key
    secret = key.split("_", 2)[2]
    row = ApiToken.objects.values().get()
    assert secret not in str(row)
    assert key.startswith(f"pc_{row['token_id']}_")
    assert len(secret) == 43


def test_two_keys_are_never_alike() -> None:
    assert len({issue().key for _ in range(50)}) == 50


def test_a_good_key_names_its_owner_and_scope() -> None:
    holder = authenticate_key(key=issue().key, now=wall_now())
    assert (holder.username, holder.scope) == ("ann", Scope.TRADE)


@pytest.mark.parametrize("change", ["", "x", "pc_", "pc_0123456789abcdef_" + "A" * 43, "Bearer x", "pc_\u0661", " "])
def test_a_strange_key_opens_nothing(change: str) -> None:
    issue()
    with pytest.raises(InvalidToken):
        authenticate_key(key=change, now=wall_now())


def test_a_key_with_one_character_changed_opens_nothing() -> None:
    key = issue().key
    for position in range(len(key)):
        other = "a" if key[position] != "a" else "b"
        with pytest.raises(InvalidToken):
            authenticate_key(key=key[:position] + other + key[position + 1 :], now=wall_now())


def test_an_expired_key_opens_nothing_from_its_instant_on() -> None:
    issued = issue()
    last = issued.token.expires_at
    authenticate_key(key=issued.key, now=last - timedelta(microseconds=1))
    with pytest.raises(InvalidToken, match="expired"):
        authenticate_key(key=issued.key, now=last)


def test_a_revoked_key_opens_nothing_at_once(account: Account) -> None:
    issued = issue()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {issued.key}")
    assert client.get(ORDERS).status_code == 200
    assert revoke_token(token=issued.token, now=wall_now())
    assert client.get(ORDERS).json()["code"] == "INVALID_TOKEN"
    assert not revoke_token(token=issued.token, now=wall_now())


def test_a_key_of_somebody_switched_off_opens_nothing() -> None:
    issued = issue()
    issued.token.user.is_active = False
    issued.token.user.save()
    with pytest.raises(InvalidToken, match="switched off"):
        authenticate_key(key=issued.key, now=wall_now())


@pytest.mark.parametrize(
    ("token", "role", "held"),
    [
        (Scope.ADMIN, Scope.READ, Scope.READ),
        (Scope.READ, Scope.ADMIN, Scope.READ),
        (Scope.RISK, Scope.RISK, Scope.RISK),
        (Scope.ADMIN, None, None),
    ],
)
def test_a_token_never_does_more_than_its_owner_may(token: Scope, role: Scope | None, held: Scope | None) -> None:
    key = issue(user=make_user("bob", role), scope=token).key
    assert authenticate_key(key=key, now=wall_now()).scope == held


def test_a_role_taken_away_weakens_the_token_at_once(account: Account) -> None:
    issued = issue()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {issued.key}")
    assert client.post(ORDERS, order(), format="json").status_code == 201
    issued.token.user.groups.clear()
    assert client.post(ORDERS, order(quantity="11"), format="json").status_code == 403


def test_use_is_noted_to_the_minute() -> None:
    issued = issue()
    start = wall_now()
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (61, 60)):
        authenticate_key(key=issued.key, now=start + timedelta(seconds=seconds))
        assert ApiToken.objects.get().last_used_at == start + timedelta(seconds=noted)


def test_a_key_that_fails_leaves_no_trace_of_use() -> None:
    issued = issue()
    with pytest.raises(InvalidToken):
        authenticate_key(key=issued.key[:-1] + ("a" if issued.key[-1] != "a" else "b"), now=wall_now())
    assert ApiToken.objects.get().last_used_at is None


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 81},
        {"lifetime": timedelta(0)},
        {"lifetime": timedelta(days=3651)},
        {"scope": "root"},
    ],
)
def test_a_token_that_cannot_be_is_refused_and_not_stored(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenRequest):
        issue(**fields)
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"scope": "root"}, "apitoken_scope_known"),
        ({"digest": "short"}, "apitoken_digest_is_sha256"),
        ({"name": ""}, "apitoken_name_given"),
        ({"expires_at": wall_now() - timedelta(days=9)}, "apitoken_expires_later"),
    ],
)
def test_the_database_refuses_what_the_service_refuses(change: dict[str, Any], constraint: str) -> None:
    issue()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        ApiToken.objects.update(**change)


def test_a_token_id_is_there_once() -> None:
    first, second = issue().token, issue().token
    with pytest.raises(IntegrityError, match="apitoken_token_id_unique"), transaction.atomic():
        ApiToken.objects.filter(pk=second.pk).update(token_id=first.token_id)


def test_the_lookup_reads_by_index(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT id FROM ops_console_apitoken WHERE token_id = 'x'")
        plan = str(cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "apitoken_token_id_unique" in plan


@pytest.mark.parametrize("header", ["Token", "Token ", "token x", "TOKEN  pc_", "Token pc_a b"])
def test_a_broken_header_is_401(account: Account, header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    assert client.get(ORDERS).status_code == 401


def test_another_scheme_is_not_ours(account: Account) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer abc")
    assert client.get(ORDERS).json()["code"] == "NOT_AUTHENTICATED"


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_failure_while_a_key_is_checked_does_not_log_the_key(log_format: str) -> None:
    def check(key: str) -> None:
        secret = key.split("_", 2)[2]
        raise RuntimeError(f"a failure with {len(secret)} characters in a local variable")

    key = "pc_0123456789abcdef_" + "s3cret" * 7 + "x"
    handler = StreamHandler(written := StringIO())
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=renderers(log_format), foreign_pre_chain=shared_processors()
    )
    handler.setFormatter(formatter)
    logger = Logger("test")
    logger.addHandler(handler)
    try:
        check(key)
    except RuntimeError:
        logger.exception("failed")
    assert "a failure with 43 characters" in written.getvalue()
    assert "s3cret" not in written.getvalue()
