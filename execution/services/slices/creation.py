"""Make a parent order: plan it, ask the gate what it would say to it, store it whole or not at all."""

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from execution.errors import OrderConflict, PlanRefused
from execution.identity import SEPARATOR
from execution.models import Account, ParentEvent, ParentOrder, Slice, Strategy
from execution.parent_orders import progress
from execution.services.slices.children import plan_denials
from execution.services.slices.wish import ParentWish, intent_key, refuse_numbers, refuse_other
from execution.slicing.curve import DEFAULT_CURVE, Session, VolumeCurve
from execution.slicing.draws import seed_of
from execution.slicing.plan import PlannedSlice, Wish, plan_slices, window_of
from execution.slicing.states import PARENT_RETRYABLE, ParentStatus, ParentStep
from marketdata import calendar
from marketdata.lake import default_lake
from marketdata.models import Instrument, Quote
from marketdata.volume_profile import volume_profile
from risk.selectors import limit_book
from risk.types import Denial


@dataclass(frozen=True, slots=True)
class Preview:
    """The plan of a parent as it would be now, and what the gate would say; `parent` is not stored."""

    parent: ParentOrder
    slices: list[PlannedSlice]
    denials: list[Denial] = field(default_factory=list)
    existing: ParentOrder | None = None


@dataclass(frozen=True, slots=True)
class ParentResult:
    """The parent that the wish has become; None when the gate refused. `created` is False when it was there before."""

    parent: ParentOrder | None
    created: bool
    denials: list[Denial] = field(default_factory=list)


def create_parent(*, wish: ParentWish, account: Account, wall_now: datetime) -> ParentResult:
    """Store a parent order with its plan in one transaction; nothing is sent before its first slice is due.

    The gate is asked about the whole and about the largest slice; what it would refuse is not stored. The same wish
    again (same id, same key, or neither and the same wish on the same trading date) returns the first parent.
    :raises PlanRefused: it cannot be planned like that
    :raises OrderConflict: the id or key was used before with another body
    """
    seen = preview_parent(wish=wish, account=account, wall_now=wall_now)
    if seen.existing is not None:
        return ParentResult(seen.existing, created=False)
    if seen.denials:
        return ParentResult(None, created=False, denials=seen.denials)
    try:
        with transaction.atomic():
            _store(seen, wall_now)
    except IntegrityError:  # somebody else has stored the same wish in the same moment
        existing = _existing(wish, account, seen.parent.intent_key)
        if existing is None:
            raise
        return ParentResult(existing, created=False)
    return ParentResult(seen.parent, created=True)


def preview_parent(*, wish: ParentWish, account: Account, wall_now: datetime) -> Preview:
    """Return the plan and the gate's answer; nothing is stored or locked.

    :raises PlanRefused: it cannot be planned like that
    :raises OrderConflict: the id or key was used before with another body
    """
    account = Account.objects.select_related("feed").get(pk=account.pk)
    market_at = account.feed.market_now(wall_now)
    day = calendar.trading_date(market_at)
    key = intent_key(wish, day)
    existing = _existing(wish, account, key)
    if existing is not None:
        plan = [PlannedSlice(s.number, s.due_at, s.quantity, s.max_quantity) for s in existing.slices.all()]
        return Preview(existing, plan, existing=existing)
    refuse_numbers(wish)
    instrument, strategy = _named(wish)
    attempt = ParentOrder.objects.filter(account=account, intent_key=key).count() + 1
    name = wish.client_order_id or hashlib.sha256(f"{key}{SEPARATOR}{attempt}".encode()).hexdigest()
    planned = _plan(wish, instrument, _average_daily_volume(account, instrument), market_at, seed_of(name))
    parent = ParentOrder(
        account=account,
        strategy=strategy,
        instrument=instrument,
        client_order_id=name,
        intent_key=key,
        attempt=attempt,
        trading_date=day,
        market_at=market_at,
        **planned.columns,
        **_columns(wish),
    )
    return Preview(parent, planned.slices, plan_denials(parent, planned.slices, wall_now))


@dataclass(frozen=True, slots=True)
class _Plan:
    """Slices, and what of their plan is stored with the parent."""

    slices: list[PlannedSlice]
    columns: dict[str, Any]


def _plan(wish: ParentWish, instrument: Instrument, volume: Decimal | None, market_at: datetime, seed: int) -> _Plan:
    session = _session(market_at)
    duration = timedelta(minutes=wish.duration_minutes)
    window = window_of(at=market_at, duration=duration, session=session, quiet=_quiet_minutes(wish))
    curve = _curve(wish.symbol, calendar.trading_date(market_at))
    asked = Wish(
        algo=wish.algo,
        quantity=wish.quantity,
        lot_size=instrument.lot_size,
        slices=wish.wished_slices,
        seed=seed,
        max_participation=wish.participation,
        average_daily_volume=volume,
    )
    slices = plan_slices(asked, window, session, curve)
    columns = {
        "seed": seed,
        "average_daily_volume": volume,
        "curve_source": curve.source,
        "starts_at": window.starts_at,
        "ends_at": window.ends_at,
        "shortened": window.shortened,
    }
    return _Plan(slices, columns)


def _session(market_at: datetime) -> Session:
    """Return the session that is on, or opens this morning: nothing waits over night.

    :raises PlanRefused: the market is closed
    """
    day = calendar.trading_date(market_at)
    session = Session(calendar.session_open(day), calendar.session_close(day))
    if market_at < session.opens_at and calendar.market_phase(market_at) != "pre":
        raise PlanRefused(
            "duration_minutes",
            f"the market is closed until {session.opens_at:%Y-%m-%d %H:%M} UTC: ask again on the morning before it",
        )
    return session


def _named(wish: ParentWish) -> tuple[Instrument, Strategy]:
    instrument = Instrument.objects.filter(symbol=wish.symbol).first()
    if instrument is None:
        raise PlanRefused("symbol", f"{wish.symbol!r} is not known")
    strategy = Strategy.objects.filter(name=wish.strategy).first()
    if strategy is None:
        raise PlanRefused("strategy", f"{wish.strategy!r} is not known")
    return instrument, strategy


def _store(seen: Preview, wall_now: datetime) -> None:
    parent = seen.parent
    parent.save(force_insert=True)
    Slice.objects.bulk_create(
        Slice(
            parent=parent,
            number=planned.number,
            due_at=planned.due_at,
            quantity=planned.quantity,
            max_quantity=planned.max_quantity,
        )
        for planned in seen.slices
    )
    ParentEvent.objects.create(
        parent=parent,
        step=ParentStep.CREATED,
        from_status="",
        to_status=ParentStatus.ACTIVE,
        actor=parent.source_ref,
        detail={"slices": len(seen.slices), "shortened": parent.shortened, "curve": parent.curve_source},
        market_at=parent.market_at,
        created_at=wall_now,
    )


def _columns(wish: ParentWish) -> dict[str, Any]:
    return {
        "idempotency_key": wish.idempotency_key,
        "side": wish.side,
        "quantity": wish.quantity,
        "algo": wish.algo,
        "duration_minutes": wish.duration_minutes,
        "wished_slices": wish.wished_slices,
        "max_participation": wish.participation,
        "limit_price": wish.limit_price,
        "limit_offset_bps": wish.limit_offset_bps,
        "reduce_only": wish.reduce_only,
        "origin": wish.origin,
        "source_ref": wish.source_ref,
    }


def _existing(wish: ParentWish, account: Account, key: str) -> ParentOrder | None:
    """Return the parent that the wish has become before; None for a new one or one that may be tried again.

    :raises OrderConflict: its id or key was used for another wish
    """
    stored = ParentOrder.objects.filter(account=account).select_related("account__feed", "strategy", "instrument")
    named = [
        stored.filter(**{name: value}).first()
        for name, value in (("client_order_id", wish.client_order_id), ("idempotency_key", wish.idempotency_key))
        if value
    ]
    found = {parent.pk: parent for parent in named if parent is not None}
    if len(found) > 1:
        raise OrderConflict("client_order_id and idempotency key were used for two different orders")
    if found:
        parent = next(iter(found.values()))
        refuse_other(parent, wish)
        return parent
    if named:
        return None
    newest = stored.filter(intent_key=key).order_by("-attempt").first()
    if newest is None or (newest.status in PARENT_RETRYABLE and not progress(newest).filled):
        return None
    return newest


def _quiet_minutes(wish: ParentWish) -> timedelta:
    """Return the minutes around open and close in which the gate takes no market orders."""
    if wish.has_limit:
        return timedelta(0)
    limits = limit_book().resolve(strategy=wish.strategy, symbol=wish.symbol).strategy
    return timedelta(minutes=int(limits.auction_quiet_minutes))


def _curve(symbol: str, day: date) -> VolumeCurve:
    profile = volume_profile(lake=default_lake(), symbol=symbol, before=day)
    if profile is None:
        return DEFAULT_CURVE
    source = f"measured: minute bars of {profile.sessions} sessions until {profile.until}"
    return VolumeCurve.of(profile.volumes, source)


def _average_daily_volume(account: Account, instrument: Instrument) -> Decimal | None:
    quote = Quote.objects.filter(feed_id=account.feed_id, instrument=instrument).first()
    known = None if quote is None else quote.average_daily_volume
    return instrument.average_daily_volume if known is None else known
