"""What a broker permits in an instrument, beside what people permit: it only narrows, and takes back only its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet

from marketdata.models import Instrument
from marketdata.models.instruments import PERMISSIONS

LONGEST_DENIAL = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What somebody says of one instrument: why each permission is denied, empty where it is given."""

    symbol: str
    denials: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """A permission that was taken, or given back when `denied_by` is empty."""

    symbol: str
    permission: str
    denied_by: str


def denied_by(teller: str) -> Q:
    """Match the instruments of which `teller` denies something."""
    matched = Q()
    for name in PERMISSIONS:
        matched |= Q(**{f"{name}_denied_by__startswith": _signature(teller)})
    return matched


@transaction.atomic
def apply_permissions(*, teller: str, told: Sequence[Told]) -> list[Change]:
    """Take what the teller denies and is permitted now, give back what the teller took and permits again.

    What a person or another teller has switched off stays off. Locks: the instruments, by symbol.
    """
    by_symbol = {each.symbol: each for each in told}
    rows: QuerySet[Instrument] = Instrument.objects.filter(symbol__in=by_symbol).order_by("symbol")
    changes: list[Change] = []
    for instrument in rows.select_for_update():
        made = [*_changes(instrument, teller, by_symbol[instrument.symbol].denials)]
        for change in made:
            setattr(instrument, change.permission, not change.denied_by)
            setattr(instrument, f"{change.permission}_denied_by", change.denied_by)
        if made:
            instrument.save(update_fields=[field for name in PERMISSIONS for field in (name, f"{name}_denied_by")])
        changes += made
    return changes


def _changes(instrument: Instrument, teller: str, denials: Mapping[str, str]) -> list[Change]:
    changes = []
    for name, reason in denials.items():
        given, before = getattr(instrument, name), getattr(instrument, f"{name}_denied_by")
        after = f"{_signature(teller)}{reason}"[:LONGEST_DENIAL] if reason else ""
        if (given and after) or (before.startswith(_signature(teller)) and before != after):
            changes.append(Change(instrument.symbol, name, after))
    return changes


def _signature(teller: str) -> str:
    return f"{teller}: "
