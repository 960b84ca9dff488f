"""Issue, check and revoke API tokens.

A key reads `pc_<token id>_<secret>`. The secret is 32 random bytes, so a plain SHA-256 of it can be kept at rest: there
is nothing to guess, and a slow hash would only slow every request down.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic_ns
from typing import Any

import psycopg
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Q

from execution.models import Strategy
from ops_console.models import ApiToken
from ops_console.scopes import Scope, scope_of_roles, weaker

KEY_FORM = re.compile(r"pc_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
DEFAULT_LIFETIME = timedelta(days=90)
LONGEST_LIFETIME = timedelta(days=3650)
LONGEST_NAME = 80
USE_IS_NOTED_EVERY = timedelta(minutes=1)
MOST_REMEMBERED = 1_000

# One statement for token, owner and roles: it runs before every request.
LOOKUP = """
    SELECT token.id, token.digest, token.scope, token.expires_at, token.revoked_at, token.last_used_at,
           owner.id, owner.username, owner.is_active, owner.is_superuser,
           ARRAY(SELECT role.name FROM auth_user_groups membership JOIN auth_group role ON role.id = membership.group_id
                 WHERE membership.user_id = owner.id),
           strategy.name
    FROM ops_console_apitoken token JOIN auth_user owner ON owner.id = token.user_id
    LEFT JOIN execution_strategy strategy ON strategy.id = token.strategy_id
    WHERE token.token_id = %s
"""


class TokenError(Exception):
    """Base of what this module refuses."""


class InvalidToken(TokenError):
    """The key is not one of ours, or it no longer opens anything."""


class InvalidTokenRequest(TokenError):
    """A token cannot be issued like that: name, scope or lifetime is wrong."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh token and its key; the key exists only here and is shown once."""

    token: ApiToken
    key: str


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Who holds a valid key and what the key and the owner's roles together allow (None: nothing).

    `strategy` is where orders go that do not name one; empty when the token was made for none.
    """

    token_id: str
    user_id: int
    username: str
    token_scope: Scope
    scope: Scope | None
    strategy: str = ""


def create_token(
    *,
    user: User,
    name: str,
    scope: Scope,
    now: datetime,
    lifetime: timedelta = DEFAULT_LIFETIME,
    strategy: Strategy | None = None,
) -> IssuedToken:
    """Issue a token that lives for `lifetime` from `now` (wall time).

    :raises InvalidTokenRequest: nothing is stored
    """
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidTokenRequest(f"name: {len(name)} characters given, 1 to {LONGEST_NAME} are needed")
    if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
        raise InvalidTokenRequest(f"lifetime: got {lifetime}, allowed is more than 0 to {LONGEST_LIFETIME.days} days")
    if scope not in Scope.values:
        raise InvalidTokenRequest(f"scope: got {scope!r}, allowed are {', '.join(Scope.values)}")
    token_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name,
        token_id=token_id,
        digest=_digest(secret),
        scope=scope,
        strategy=strategy,
        created_at=now,
        expires_at=now + lifetime,
    )
    return IssuedToken(token=token, key=f"pc_{token_id}_{secret}")


def revoke_token(*, token: ApiToken, now: datetime) -> bool:
    """Close a token from this commit on; False when it was closed before."""
    return ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now) == 1


def authenticate_key(*, key: str, now: datetime) -> TokenHolder:
    """Return who holds the key. At most one query, and once a minute a second one that notes the use.

    :raises InvalidToken: unknown, expired, revoked, or its owner is switched off
    """
    form = KEY_FORM.fullmatch(key)
    if form is None:
        raise InvalidToken("the key does not have the form pc_<id>_<secret>")
    token_id, secret = form.groups()
    row = _memory.row(token_id)
    # An unknown id is compared as well, so that the time taken does not tell which ids exist.
    known = row[1] if row else "0" * 64
    if not hmac.compare_digest(known, _digest(secret)) or row is None:
        raise InvalidToken("the key is unknown")
    pk, _, scope, expires_at, revoked_at, last_used_at, user_id, username, is_active, is_superuser, roles, strategy = (
        row
    )
    _require_alive(expires_at=expires_at, revoked_at=revoked_at, is_active=is_active, now=now)
    if last_used_at is None or now - last_used_at >= USE_IS_NOTED_EVERY:
        _note_use(pk, now)
        _memory.forget(token_id)
    allowed = weaker(Scope(scope), scope_of_roles(roles, is_superuser=is_superuser))
    return TokenHolder(token_id, user_id, username, Scope(scope), allowed, strategy or "")


def living_tokens(token_ids: Collection[str], *, needed: Scope, now: datetime) -> set[str]:
    """Return those of the tokens that still allow as much. Two queries."""
    alive = ApiToken.objects.filter(
        token_id__in=token_ids, revoked_at=None, expires_at__gt=now, user__is_active=True
    ).select_related("user")
    found: set[str] = set()
    for token in alive.prefetch_related("user__groups"):
        roles = scope_of_roles([group.name for group in token.user.groups.all()], is_superuser=token.user.is_superuser)
        allowed = weaker(Scope(token.scope), roles)
        if allowed is not None and allowed.covers(needed):
            found.add(token.token_id)
    return found


class _Memory:
    """Rows of tokens that were read a moment ago, so that a busy program costs no query a request.

    `TOKEN_MEMORY_MILLISECONDS` bounds how long a revoked token still opens a process that has just used it (0: never).
    Secret, expiry and owner are compared with every request all the same.
    """

    def __init__(self) -> None:
        self._rows: dict[str, tuple[int, tuple[Any, ...]]] = {}

    def row(self, token_id: str) -> tuple[Any, ...] | None:
        lifetime = getattr(settings, "TOKEN_MEMORY_MILLISECONDS", 0)
        if not lifetime:
            return _lookup(token_id)
        now = monotonic_ns()
        until, known = self._rows.get(token_id, (0, None))
        if known is not None and now < until:
            return known
        row = _lookup(token_id)
        if len(self._rows) >= MOST_REMEMBERED:
            self._rows.clear()
        if row is not None:
            self._rows[token_id] = (now + lifetime * 1_000_000, row)
        return row

    def forget(self, token_id: str) -> None:
        """Read the row anew next time."""
        self._rows.pop(token_id, None)


_memory = _Memory()


def _lookup(token_id: str) -> tuple[Any, ...] | None:
    # A cursor of psycopg's own, because Django's binds on the client and so never has a statement prepared: planning
    # this one takes longer than running it, and it runs before every request.
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(LOOKUP, [token_id], prepare=True).fetchone()


def _require_alive(*, expires_at: datetime, revoked_at: datetime | None, is_active: bool, now: datetime) -> None:
    if revoked_at is not None:
        raise InvalidToken("the token was revoked")
    if expires_at <= now:
        raise InvalidToken(f"the token expired at {expires_at.isoformat()}")
    if not is_active:
        raise InvalidToken("the token's owner is switched off")


def _note_use(pk: int, now: datetime) -> None:
    earlier = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_IS_NOTED_EVERY)
    ApiToken.objects.filter(earlier, pk=pk).update(last_used_at=now)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()
