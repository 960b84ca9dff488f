"""Reads of how alike names move; measured once a session by the worker."""

from collections.abc import Iterable
from decimal import Decimal

from django.db.models import Q

from risk.models import Correlation

HUNDRED = Decimal(100)


def alike(symbol: str, held: Iterable[str], *, above_pct: Decimal) -> list[tuple[str, Decimal]]:
    """Return the held names that a name moved alike with lately, more than that (coefficient x 100), the worst first.

    A name that nobody has measured is alike to none: this warns people, it guards nothing.
    """
    others = set(held) - {symbol}
    pairs = Correlation.objects.filter(Q(symbol=symbol, other__in=others) | Q(other=symbol, symbol__in=others))
    too_alike = pairs.filter(coefficient__gt=above_pct / HUNDRED).order_by("-coefficient", "symbol", "other")
    return [(pair.other if pair.symbol == symbol else pair.symbol, pair.coefficient) for pair in too_alike]


def alike_pairs(held: Iterable[str], *, above_pct: Decimal) -> list[Correlation]:
    """Return the pairs of held names that moved alike more than that, the worst first."""
    names = set(held)
    pairs = Correlation.objects.filter(symbol__in=names, other__in=names, coefficient__gt=above_pct / HUNDRED)
    return list(pairs.order_by("-coefficient", "symbol", "other"))
