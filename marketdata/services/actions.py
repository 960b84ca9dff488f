"""Store corporate actions."""

from decimal import Decimal

import polars as pl
from django.db import transaction

from marketdata.models import CorporateAction
from marketdata.services.instruments import ensure_instruments

_PLACES = Decimal("0.00000001")


@transaction.atomic
def store_actions(*, actions: pl.DataFrame, source: str) -> int:
    """Store events (columns of `adjustment.ACTION_SCHEMA`) that are not there yet, and return how many were new.

    What is stored already wins: an operator may have corrected it.
    """
    instruments = ensure_instruments(symbols=actions["symbol"].unique().to_list())
    before = CorporateAction.objects.count()
    rows = [
        CorporateAction(
            instrument=instruments[symbol],
            kind=kind,
            ex_date=ex_date,
            ratio=_stored(ratio),
            cash_amount=_stored(cash),
            source=source,
        )
        for symbol, kind, ex_date, ratio, cash in actions.select(
            "symbol", "kind", "ex_date", "ratio", "cash_amount"
        ).iter_rows()
    ]
    CorporateAction.objects.bulk_create(rows, ignore_conflicts=True)
    return CorporateAction.objects.count() - before


def _stored(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value)).quantize(_PLACES)
