"""The page between choosing an action and doing it: how many, with what consequence, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from risk.services.reasons import LONGEST, SHORTEST

SHOWN = 20
CONFIRMED = "confirmed"


class ConfirmForm(forms.Form):
    """Nothing to fill in: the page itself is the question."""


class ReasonForm(ConfirmForm):
    """Why, for who reads the history."""

    reason = forms.CharField(
        min_length=SHORTEST,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 80}),
        help_text=f"{SHORTEST} to {LONGEST} characters; it is stored for good",
    )


@dataclass(frozen=True, slots=True)
class Question:
    """What the page says: what would be done, to what, and what follows from it."""

    title: str
    consequence: str
    subjects: Sequence[str]
    button: str

    @property
    def shown(self) -> Sequence[str]:
        """The first subjects."""
        return self.subjects[:SHOWN]

    @property
    def more(self) -> int:
        """How many subjects are not shown."""
        return max(len(self.subjects) - SHOWN, 0)


def ask(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    question: Question,
    *,
    queryset: QuerySet[Any] | None = None,
    form_class: type[ConfirmForm] = ReasonForm,
) -> tuple[dict[str, Any] | None, HttpResponse | None]:
    """Return what was filled in once the page has been confirmed, else the page."""
    form = form_class(request.POST) if CONFIRMED in request.POST else form_class()
    if form.is_valid():
        return form.cleaned_data, None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question.title,
        "question": question,
        "form": form,
        "opts": model_admin.opts,
        "hidden": _kept(request, queryset),
    }
    return None, TemplateResponse(request, "admin/confirm.html", context)


def _kept(request: HttpRequest, queryset: QuerySet[Any] | None) -> list[tuple[str, str]]:
    """Return what the page has to send again, so that the admin finds action and rows."""
    if queryset is None:
        return []
    across = request.POST.get("select_across", "0")
    rows = queryset.values_list("pk", flat=True)
    chosen = rows[:1] if across == "1" else rows
    return [
        ("action", request.POST.get("action", "")),
        ("index", request.POST.get("index", "0")),
        ("select_across", across),
        *((helpers.ACTION_CHECKBOX_NAME, str(pk)) for pk in chosen),
    ]
