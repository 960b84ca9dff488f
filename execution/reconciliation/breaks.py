"""Remember what differed: seen once it is suspected, seen again and asked about it is open, and people decide.

Nothing is concluded from one look. What is no longer seen is gone by itself; what was accepted stays so as long as it
is the same difference.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction

from execution.models import Account, Break
from risk.services.alerts import raise_alert, resolve_alert
from risk.services.limits import restrict_instrument
from risk.states import AlertSeverity

State, Kind = Break.State, Break.Kind
IGNORED_FOR = timedelta(hours=24)
ALERTS = {
    Kind.POSITION: "position_differs",
    Kind.CASH: "cash_differs",
    Kind.FILL: "fills_differ",
    Kind.ORDER: "order_differs",
}
SYSTEM = "reconciliation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A difference as one comparison saw it; `repair` is for the service that carries the proposal out."""

    kind: str
    subject: str
    symbol: str = ""
    ours: Decimal
    theirs: Decimal
    cause: str = ""
    proposal: str = ""
    repair: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same break."""
        return self.kind, self.subject


@transaction.atomic
def note(
    *,
    account: Account,
    sightings: Sequence[Sighting],
    looked_at: Collection[str],
    unsettled: Collection[str] = (),
    unasked: Collection[str] = (),
    passed_over: Collection[tuple[str, str]] = (),
    wall_now: datetime,
) -> dict[tuple[str, str], Break]:
    """Remember sightings, and close the breaks of the kinds `looked_at` that were not seen this time.

    What is about an `unsettled` symbol, or an order that was `unasked`, proves nothing in either way; but a suspicion
    that a look did not find has to be seen anew, unless it was only `passed_over` as too fresh: two differences with an
    agreement between them are not one that was seen twice. Returns the live breaks of the sightings. Locks: the
    account's live breaks.
    """
    live = {
        (row.kind, row.subject): row
        for row in Break.objects.select_for_update(no_key=True).filter(account=account, state__in=Break.LIVE)
    }
    found: dict[tuple[str, str], Break] = {}
    for sighting in sightings:
        row = live.get(sighting.key)
        found[sighting.key] = _first(account, sighting, wall_now) if row is None else _again(row, sighting, wall_now)
    for key, row in live.items():
        looked = row.kind in looked_at and row.subject not in unasked
        if key in found or not looked:
            continue
        if row.symbol not in unsettled:
            _gone(account, row, wall_now)
        elif row.state == State.SUSPECTED and key not in passed_over:
            row.sightings = 0
            row.save(update_fields=["sightings"])
    return found


def is_confirmed(row: Break, *, settle: timedelta, wall_now: datetime) -> bool:
    """Tell whether a suspicion was seen twice, and long enough apart for the broker's views to settle."""
    return row.state == State.SUSPECTED and row.sightings >= 2 and wall_now - row.first_seen_at >= settle


@transaction.atomic
def open_break(*, account: Account, row: Break, wall_now: datetime) -> None:
    """Confirm a break: people are told, and its symbol can only be reduced until somebody has decided.

    One about which somebody has decided meanwhile stays as it was decided. Locks: the break.
    """
    if not still_suspected(row):
        return
    row.state = State.OPEN
    row.save(update_fields=["state"])
    raise_alert(
        code=ALERTS.get(Kind(row.kind), "position_differs"),
        subject=f"{account.scope} {row.kind}:{row.subject[:80]}",
        severity=AlertSeverity.WARNING if row.kind == Kind.CASH else AlertSeverity.CRITICAL,
        message=f"{row.subject}: the book has {row.ours}, the broker {row.theirs}. {row.cause}",
        now=wall_now,
        detail={"break": row.pk, "proposal": row.proposal},
    )
    if row.symbol and row.kind != Kind.CASH:
        _restrict(row, wall_now)


def still_suspected(row: Break) -> bool:
    """Lock a break that is about to be acted on, and tell whether nobody has decided about it since it was read."""
    row.state = Break.objects.select_for_update(no_key=True).values_list("state", flat=True).get(pk=row.pk)
    return row.state == State.SUSPECTED


def close(*, account: Account, row: Break, state: str, wall_now: datetime, **decision: Any) -> None:
    """End a break and say that its trouble is over."""
    row.state = state
    for name, value in decision.items():
        setattr(row, name, value)
    row.save(update_fields=["state", *decision])
    _resolve(account, row, wall_now)


def blocking(account: Account) -> list[Break]:
    """Return the open breaks because of which nothing may leave."""
    rows = Break.objects.filter(account=account, state=State.OPEN).order_by("pk")
    return [row for row in rows if row.kind != Kind.CASH or row.repair.get("closes")]


def suspicions(account: Account) -> bool:
    """Tell whether something was seen that is neither confirmed nor gone."""
    return Break.objects.filter(account=account, state=State.SUSPECTED).exists()


def _first(account: Account, sighting: Sighting, wall_now: datetime) -> Break:
    return Break.objects.create(
        account=account,
        kind=sighting.kind,
        subject=sighting.subject,
        symbol=sighting.symbol,
        ours=_shown(sighting.ours),
        theirs=_shown(sighting.theirs),
        cause=sighting.cause[:300],
        proposal=sighting.proposal[:300],
        repair=sighting.repair,
        first_seen_at=wall_now,
        last_seen_at=wall_now,
    )


def _again(row: Break, sighting: Sighting, wall_now: datetime) -> Break:
    before, now = _missing(row.ours, row.theirs), sighting.theirs - sighting.ours
    moved = before != now
    row.sightings += 1
    if row.state in (State.ACCEPTED, State.IGNORED) and (moved or _is_forgotten(row, wall_now)):
        row.state, row.sightings, row.first_seen_at = State.SUSPECTED, 1, wall_now
    elif row.state == State.SUSPECTED and (moved or row.sightings == 1):
        row.sightings, row.first_seen_at = 1, wall_now
    row.ours, row.theirs, row.last_seen_at = _shown(sighting.ours), _shown(sighting.theirs), wall_now
    row.cause, row.proposal, row.repair = sighting.cause[:300], sighting.proposal[:300], sighting.repair
    row.save()
    return row


def _is_forgotten(row: Break, wall_now: datetime) -> bool:
    return row.state == State.IGNORED and row.decided_at is not None and wall_now - row.decided_at >= IGNORED_FOR


def _gone(account: Account, row: Break, wall_now: datetime) -> None:
    if row.state == State.SUSPECTED and row.sightings <= 1:
        row.delete()  # a view that had not settled yet: nobody was told of it
        return
    close(account=account, row=row, state=State.GONE, wall_now=wall_now)


def _resolve(account: Account, row: Break, wall_now: datetime) -> None:
    code = ALERTS.get(Kind(row.kind), "position_differs")
    resolve_alert(code=code, subject=f"{account.scope} {row.kind}:{row.subject[:80]}", now=wall_now)


def _restrict(row: Break, wall_now: datetime) -> None:
    from execution.reconciliation.strangers import instrument_named

    instrument = instrument_named(row.symbol)
    if instrument is not None:
        reason = f"the book has {row.ours} of {row.subject}, the broker {row.theirs}"
        restrict_instrument(instrument=instrument, operator=SYSTEM, reason=reason[:500], now=wall_now)


def _shown(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _missing(ours: str, theirs: str) -> Decimal | None:
    try:
        return Decimal(theirs) - Decimal(ours)
    except InvalidOperation:
        return None


def live_breaks(account: Account) -> Iterable[Break]:
    """Return what differs now, what is to be decided first."""
    order = {State.OPEN: 0, State.SUSPECTED: 1, State.ACCEPTED: 2, State.IGNORED: 3}
    rows = Break.objects.filter(account=account, state__in=Break.LIVE)
    return sorted(rows, key=lambda row: (order[State(row.state)], -row.pk))
