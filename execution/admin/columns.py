"""Columns of numbers as people read them."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import Model

CENT = Decimal("0.01")


def shares(name: str) -> Callable[[Model], str]:
    """Make a column that shows a quantity or a price without trailing zeros."""

    @admin.display(description=name.replace("_", " "), ordering=name)
    def column(row: Model) -> str:
        value: Decimal | None = getattr(row, name)
        return "" if value is None else f"{value.normalize():f}"

    return column


def money(name: str) -> Callable[[Model], str]:
    """Make a column that shows account currency to the cent."""

    @admin.display(description=name.replace("_", " "), ordering=name)
    def column(row: Any) -> str:
        value: Decimal | None = getattr(row, name)
        return "" if value is None else f"{value.quantize(CENT):,f}"

    return column
