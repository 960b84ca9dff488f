"""Who is calling: a program with a token, or a person with a session of the console."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from marketdata.clock import wall_now
from ops_console.addresses import client_address
from ops_console.api.codes import ProblemCode
from ops_console.api.problems import Problem
from ops_console.api.throttling import Rate, require_allowance, spend
from ops_console.permissions import scope_of
from ops_console.scopes import Scope
from ops_console.services.tokens import InvalidToken, authenticate_key

KEYWORD = "Token"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling and what they may do; `scope` is None when their roles allow nothing.

    `strategy` is the one that the token was made for, empty for none.
    """

    username: str
    scope: Scope | None
    via: str
    strategy: str = ""

    @property
    def key(self) -> str:
        """Name under which requests are counted: a person's tokens and sessions share one allowance."""
        return self.username


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """The person behind a token, as far as REST framework asks; views look at the caller."""

    pk: int
    username: str
    is_authenticated: bool = True
    is_active: bool = True


def caller_with_key(key: str, *, address: str) -> tuple[TokenOwner, Caller]:
    """Return who holds the key; failures are counted by address.

    :raises Problem: the key opens nothing, or too many wrong keys came from there
    """
    require_allowance(Rate.FAILED_KEYS, address)
    try:
        holder = authenticate_key(key=key, now=wall_now())
    except InvalidToken as error:
        spend(Rate.FAILED_KEYS, address)
        raise Problem(ProblemCode.INVALID_TOKEN, str(error)) from error
    caller = Caller(holder.username, holder.scope, f"token:{holder.token_id}", holder.strategy)
    return TokenOwner(holder.user_id, holder.username), caller


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Token pc_<id>_<secret>`: one query a request."""

    def authenticate(self, request: Request) -> tuple[TokenOwner, Caller] | None:
        """Return the owner of the token; None when the header does not speak of a token."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        keyword, _, key = header.partition(" ")
        if keyword.lower() != KEYWORD.lower():
            return None
        return caller_with_key(key.strip(), address=client_address(request.META))

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme, which makes a missing credential a 401."""
        return KEYWORD


class SessionAuthentication(authentication.SessionAuthentication):
    """A person logged in to the console; writes need the CSRF token as everywhere else."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        """Return the session's user; None when there is no session or its user is switched off."""
        found = super().authenticate(request)
        if found is None:
            return None
        user: User = found[0]
        return user, Caller(user.username, scope_of(user), "session")

    def enforce_csrf(self, request: Request) -> None:
        """Refuse a write without the session's CSRF token."""
        try:
            # Django's own request: REST framework's would parse the body to look for a form field.
            super().enforce_csrf(request._request)  # type: ignore[arg-type]
        except exceptions.PermissionDenied as error:
            raise Problem(ProblemCode.CSRF_FAILED, str(error)) from error


def require_scope(caller: Caller | None, needed: Scope) -> Caller:
    """Return the caller when their scope contains the needed one.

    :raises Problem: nobody called, or the scope is too weak
    """
    if caller is None:
        raise Problem(ProblemCode.NOT_AUTHENTICATED, f"send Authorization: {KEYWORD} KEY, or log in")
    if caller.scope is None or not caller.scope.covers(needed):
        held = "none" if caller.scope is None else caller.scope.value
        raise Problem(
            ProblemCode.SCOPE_MISSING,
            f"scope {needed.value} is needed, {held} is held (the weaker of the token's scope and its owner's roles)",
            extra={"needed_scope": needed.value, "held_scope": held},
        )
    return caller
