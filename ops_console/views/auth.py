"""Log in and out. Tries are counted by address and by name, so that neither one name nor one place can be hammered.

Counted in the database: where that is away, nobody is let in and the answer is 503.
"""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import views as auth_views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_ratelimit.core import get_usage

from ops_console.addresses import client_address

GROUP = "console.login"
RATES: dict[str, tuple[Callable[[str, HttpRequest], str], str]] = {
    "address": (lambda _group, request: client_address(request.META), "20/5m"),
    "name": (lambda _group, request: request.POST.get("username", "").strip().lower()[:150], "8/5m"),
}


class LoginView(auth_views.LoginView):
    """The log-in page; too many failures are answered with 429 and the time to wait."""

    template_name = "ops_console/login.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Count the try, then check the password; what is over the limit is not checked at all."""
        waits = [usage["time_left"] for usage in _count(request) if usage["should_limit"]]
        if waits:
            wait = max(*waits, 1)
            context = self.get_context_data(form=self.get_form_class()(request), wait_seconds=wait)
            response = render(request, self.template_name, context, status=429)
            response.headers["Retry-After"] = str(wait)
            return response
        return super().post(request, *args, **kwargs)


def _count(request: HttpRequest) -> list[dict[str, Any]]:
    found = [
        get_usage(request, group=f"{GROUP}.{name}", key=key, rate=rate, method="POST", increment=True)
        for name, (key, rate) in RATES.items()
    ]
    return [usage for usage in found if usage is not None]


class LogoutView(auth_views.LogoutView):
    """Ends the session; its open pages are closed within a second."""

    next_page = "login"
