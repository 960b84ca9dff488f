"""What a person may do in the console, by role; every write asks here, whatever the page shows.

The steps are those of API tokens (`ops_console.scopes`), so one person may do the same on both ways.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from ops_console.scopes import Scope, scope_of_roles

View = TypeVar("View", bound=Callable[..., HttpResponse])


class Act(StrEnum):
    """Things a page offers, by who may do them."""

    READ = "read"
    CANCEL = "cancel"
    ENGAGE = "engage"
    RELEASE = "release"
    LIMITS = "limits"
    ADMINISTER = "administer"


# Stopping is given to everybody who trades; letting trading go on, and how far, only to those who answer for risk.
NEEDED: dict[Act, Scope] = {
    Act.READ: Scope.READ,
    Act.CANCEL: Scope.TRADE,
    Act.ENGAGE: Scope.TRADE,
    Act.RELEASE: Scope.RISK,
    Act.LIMITS: Scope.RISK,
    Act.ADMINISTER: Scope.ADMIN,
}


def scope_of(user: User | AnonymousUser) -> Scope | None:
    """Return how far the person's roles reach. One query, remembered on the object for the request."""
    if isinstance(user, AnonymousUser) or not user.is_active:
        return None
    if not hasattr(user, "_console_scope"):
        roles = [] if user.is_superuser else list(user.groups.values_list("name", flat=True))
        user._console_scope = scope_of_roles(roles, is_superuser=user.is_superuser)  # type: ignore[attr-defined]
    scope: Scope | None = user._console_scope  # type: ignore[attr-defined]
    return scope


def acts_of(user: User | AnonymousUser) -> frozenset[Act]:
    """Return everything the person may do."""
    held = scope_of(user)
    return frozenset(act for act, needed in NEEDED.items() if held is not None and held.covers(needed))


def requires(act: Act) -> Callable[[View], View]:
    """Let only people in whose roles allow the act; nobody logged in goes to the log-in page, others get 403."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if act not in acts_of(request.user):
                raise PermissionDenied(f"your role does not allow: {act.value}")
            return view(request, *args, **kwargs)

        with_login = login_required(guarded)

        @wraps(view)
        def outer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            # A part of a page that is asked for again and again must not get the log-in page put into its place.
            if request.headers.get("HX-Request") == "true" and not request.user.is_authenticated:
                return HttpResponse(status=401, headers={"HX-Refresh": "true"})
            return with_login(request, *args, **kwargs)

        return cast(View, outer)

    return decorate
