"""Decide about bars the quality gate kept out."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from math import isfinite

import polars as pl
from django.db import IntegrityError, transaction

from marketdata.errors import QuarantineDecisionError
from marketdata.lake import KEY_COLUMN, VALUE_COLUMNS, BarLake, bar_schema, default_lake
from marketdata.models import Instrument, QuarantinedBar
from marketdata.models.imports import REASON_LENGTH
from marketdata.quality import BarFinding
from marketdata.types import QuarantineStatus, Timeframe


@transaction.atomic
def release_bar(
    *, bar: QuarantinedBar, operator: str, reason: str, wall_now: datetime, lake: BarLake | None = None
) -> QuarantinedBar:
    """Let a bar into the lake, signed by an operator with a reason. Locks: the bar.

    The lake is written last: if that fails, the decision is undone with it.
    :raises QuarantineDecisionError: decided before, not signed, no numbers, or another bar is released in its place
    """
    locked = _decide(bar, QuarantineStatus.RELEASED, operator, reason, wall_now)
    (lake or default_lake()).write(bar_frame(locked), locked.timeframe, locked.source)
    return locked


@transaction.atomic
def reject_bar(*, bar: QuarantinedBar, operator: str, reason: str, wall_now: datetime) -> QuarantinedBar:
    """Keep a bar out for good, signed by an operator with a reason. Locks: the bar.

    :raises QuarantineDecisionError: decided before, or not signed
    """
    return _decide(bar, QuarantineStatus.REJECTED, operator, reason, wall_now)


def quarantine_findings(
    *, findings: Sequence[BarFinding], instruments: dict[str, Instrument], timeframe: str, source: str
) -> int:
    """Store findings that were not stored before, and return how many were new."""
    rows = [
        QuarantinedBar(
            instrument=instruments[finding.symbol],
            timeframe=timeframe,
            bar_at=finding.at,
            date=finding.at.date(),
            payload={name: None if value is None else repr(value) for name, value in finding.values.items()},
            rule=finding.rule,
            detail=finding.detail,
            source=source,
            fingerprint=fingerprint(finding, timeframe),
        )
        for finding in findings
    ]
    before = QuarantinedBar.objects.count()
    QuarantinedBar.objects.bulk_create(rows, ignore_conflicts=True)
    return QuarantinedBar.objects.count() - before


def fingerprint(finding: BarFinding, timeframe: str) -> str:
    """Return the SHA-256 that says whether two findings are about the same bar."""
    values = "|".join(repr(finding.values[name]) for name in VALUE_COLUMNS)
    return hashlib.sha256(f"{timeframe}|{finding.symbol}|{finding.at.isoformat()}|{values}".encode()).hexdigest()


def bar_frame(bar: QuarantinedBar) -> pl.DataFrame:
    """Return a kept-out bar as a row for the lake.

    :raises QuarantineDecisionError: a value is missing or not a number
    """
    try:
        values = {name: float(bar.payload[name]) for name in VALUE_COLUMNS}
    except (TypeError, ValueError):
        raise QuarantineDecisionError(f"{bar} cannot be released: a value is missing or not a number") from None
    if not all(isfinite(value) for value in values.values()):
        raise QuarantineDecisionError(f"{bar} cannot be released: a value is not finite")
    timeframe = Timeframe(bar.timeframe)
    stamp = bar.date if timeframe == Timeframe.DAY else bar.bar_at
    row = {"symbol": bar.instrument.symbol, KEY_COLUMN[timeframe]: stamp, **values}
    return pl.DataFrame([row], schema=bar_schema(timeframe))


def _decide(
    bar: QuarantinedBar, status: QuarantineStatus, operator: str, reason: str, wall_now: datetime
) -> QuarantinedBar:
    shortest, longest = REASON_LENGTH
    reason = reason.strip()
    if not operator:
        raise QuarantineDecisionError("a decision needs an operator")
    if not shortest <= len(reason) <= longest:
        raise QuarantineDecisionError(f"a reason of {shortest} to {longest} characters is needed, not {len(reason)}")
    rows = QuarantinedBar.objects.select_related("instrument")
    locked = rows.select_for_update(of=("self",), no_key=True).get(pk=bar.pk)
    if locked.status != QuarantineStatus.QUARANTINED:
        raise QuarantineDecisionError(f"{locked} was decided by {locked.decided_by}")
    locked.status, locked.decided_by = status, operator
    locked.decided_at, locked.reason = wall_now, reason
    try:
        with transaction.atomic():
            locked.save(update_fields=["status", "decided_by", "decided_at", "reason"])
    except IntegrityError as error:
        if "quarantinedbar_one_released" not in str(error):
            raise
        raise QuarantineDecisionError(f"another bar was released in the place of {locked}") from error
    return locked
