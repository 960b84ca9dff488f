"""What a command answers: a fragment to a page that asked with htmx, else a message and a redirect."""

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render


def outcome(
    request: HttpRequest, tone: str, text: str, *, back: str, details: Sequence[str] = (), status: int = 200
) -> HttpResponse:
    """Say what came of a command; `back` names the page to return to without JavaScript."""
    if request.headers.get("HX-Request") == "true":
        context = {"tone": tone, "text": text, "details": details}
        return render(request, "ops_console/panels/outcome.html", context, status=status)
    level = {"good": messages.SUCCESS, "warn": messages.WARNING}.get(tone, messages.ERROR)
    messages.add_message(request, level, " ".join([text, *details]))
    return redirect(back)
