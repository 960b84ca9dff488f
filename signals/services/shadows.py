"""Versions in the shadow: what they would have held, and what it would have brought.

A shadow is scored apart from the run, on the run's symbols, and nothing of the run waits for it or reads what it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl
import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from marketdata import calendar
from marketdata.selectors import bars as bars_of
from signals.errors import SignalError
from signals.evaluation import daily_ic
from signals.models import ModelVersion, ShadowResult, ShadowRole, ShadowSet, ShadowSignal, Signal
from signals.portfolio import ZERO, turnover_between
from signals.services.generation import Outcome, columns_of, known_instruments, rows_of, score
from signals.services.model_sources import pinned, ready
from signals.services.scoring import Material, material_for
from signals.states import ModelStatus
from signals.strategies.registry import code_of, get_strategy

log = structlog.get_logger(__name__)

COST_BPS = Decimal(10)
"""What trading is assumed to cost, of the notional; the same for the active version and for its shadows."""
LONGEST_FAILURE = 500
FEWEST_NAMES = 3
PLACES = Decimal("0.00000001")
CENT = Decimal("0.0001")
BACK_DAYS = 10


class ShadowFailedError(SignalError):
    """A version in the shadow could not be scored; the reason is stored in place of its signals."""

    code = "shadow_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What the desk decided for one session with an active version; `capital` in account currency."""

    session: date
    as_of: date
    signal_set: int
    version: int
    capital: Decimal


def unscored(strategy: str, as_of: date) -> list[int]:
    """Return the versions of a strategy in the shadow that have not been asked about a close yet. One query."""
    shadows = ModelVersion.objects.filter(strategy=strategy, status=ModelStatus.SHADOW)
    return list(shadows.exclude(shadow_sets__as_of_date=as_of).order_by("pk").values_list("pk", flat=True))


def score_shadow(
    *, version_id: int, symbols: list[str], as_of: date, session: date, capital: Decimal, wall_now: datetime
) -> ShadowSet:
    """Store what a version in the shadow says as of a close; a version is asked once about each.

    Its weights are approached from its own of the time before, as the active one's from what is held.
    :raises ShadowFailedError: it could not be scored; stored, and not tried again
    """
    version = ModelVersion.objects.get(pk=version_id)
    stored = version.shadow_sets.filter(as_of_date=as_of).first()
    if stored is not None:
        return stored
    asked = {
        "version": version,
        "strategy": version.strategy,
        "as_of_date": as_of,
        "session": session,
        "universe": sorted(symbols),
        "capital": capital,
        "created_at": wall_now,
    }
    try:
        material, outcome = _outcome(version, sorted(symbols), as_of)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:LONGEST_FAILURE]
        log.warning("shadow_failed", version_id=version_id, as_of=str(as_of), reason=reason)
        ShadowSet.objects.create(**asked, parameters={}, code_version="", failure=reason)
        raise ShadowFailedError(f"{version} as of {as_of}: {reason}") from error
    try:
        return _store(asked, material, outcome)
    except IntegrityError:
        return version.shadow_sets.get(as_of_date=as_of)  # somebody else asked in the same moment


def _outcome(version: ModelVersion, symbols: list[str], as_of: date) -> tuple[Material, Outcome]:
    strategy = ready(get_strategy(version.strategy), pinned({version.strategy: version.pk}))
    material = material_for(strategy, symbols, as_of)
    return material, score(strategy, material, symbols, as_of, _weights_before(version, as_of))


def _weights_before(version: ModelVersion, as_of: date) -> dict[str, Decimal]:
    before = version.shadow_sets.filter(as_of_date__lt=as_of, failure="").order_by("-as_of_date").first()
    return {} if before is None else weights_of(before)


def weights_of(shadow_set: ShadowSet) -> dict[str, Decimal]:
    """Return the weights of a set that are not zero."""
    rows = shadow_set.signals.exclude(target_weight=0).order_by("instrument__symbol")
    return dict(rows.values_list("instrument__symbol", "target_weight"))


@transaction.atomic
def _store(asked: Mapping[str, object], material: Material, outcome: Outcome) -> ShadowSet:
    made = ShadowSet.objects.create(
        **asked,
        parameters=dict(outcome.strategy.parameters),
        data_hash=material.data_hash,
        feature_version=material.feature_version,
        code_version=code_of(outcome.strategy),
    )
    instruments = known_instruments(made.universe)
    ShadowSignal.objects.bulk_create(
        ShadowSignal(shadow_set=made, **columns_of(row, instruments)) for row in rows_of(outcome)
    )
    return made


def unsettled(strategy: str, until: date) -> bool:
    """Say whether a session up to `until` has shadow signals and no result yet. One query."""
    return ShadowSet.objects.filter(strategy=strategy, failure="", session__lte=until, result__isnull=True).exists()


def settle_shadows(*, strategy: str, until: date, decided: Mapping[date, Decided], wall_now: datetime) -> int:
    """Store what each version's weights brought in the sessions up to `until`; return how many results are new.

    `decided` says by session what the desk decided with the active version; it gets a result of the same arithmetic.
    """
    waiting = ShadowSet.objects.filter(strategy=strategy, failure="", session__lte=until, result__isnull=True)
    made = 0
    for shadow_set in waiting.select_related("version").order_by("session", "pk"):
        before = _weights_before(shadow_set.version, shadow_set.as_of_date)
        brought = _brought(before, weights_of(shadow_set), _scores(shadow_set), shadow_set.session, shadow_set.capital)
        made += _keep(
            version_id=shadow_set.version_id,
            strategy=strategy,
            session=shadow_set.session,
            role=ShadowRole.SHADOW,
            defaults={**brought, "shadow_set": shadow_set, "created_at": wall_now},
        )
        made += _settle_active(strategy, shadow_set.session, decided, wall_now)
    return made


def _settle_active(strategy: str, session: date, decided: Mapping[date, Decided], wall_now: datetime) -> int:
    now = decided.get(session)
    if now is None:
        return 0
    earlier = max((day for day in decided if day < session), default=None)
    before = {} if earlier is None else _set_weights(decided[earlier].signal_set)
    scored = Signal.objects.filter(signal_set_id=now.signal_set).order_by("instrument__symbol")
    brought = _brought(before, _set_weights(now.signal_set), _known(scored), session, now.capital)
    return _keep(
        version_id=now.version,
        strategy=strategy,
        session=session,
        role=ShadowRole.ACTIVE,
        defaults={**brought, "signal_set_id": now.signal_set, "created_at": wall_now},
    )


def _keep(**row: object) -> bool:
    _, created = ShadowResult.objects.get_or_create(**row)  # type: ignore[arg-type]
    return created


def _set_weights(signal_set: int) -> dict[str, Decimal]:
    rows = Signal.objects.filter(signal_set_id=signal_set).exclude(target_weight=0).order_by("instrument__symbol")
    return dict(rows.values_list("instrument__symbol", "target_weight"))


def _scores(shadow_set: ShadowSet) -> dict[str, float]:
    return _known(shadow_set.signals.order_by("instrument__symbol"))


def _known(rows: QuerySet[Signal] | QuerySet[ShadowSignal]) -> dict[str, float]:
    return {row.instrument.symbol: row.score for row in rows.select_related("instrument") if row.score is not None}


def _brought(
    before: Mapping[str, Decimal],
    after: Mapping[str, Decimal],
    scores: Mapping[str, float],
    session: date,
    capital: Decimal,
) -> dict[str, object]:
    """Return the columns of a result: held overnight as before, from the open on as decided."""
    moves = _moves(sorted({*before, *after, *scores}), session)
    overnight = sum((weight * moves[name][0] for name, weight in before.items() if name in moves), ZERO)
    intraday = sum((weight * moves[name][1] for name, weight in after.items() if name in moves), ZERO)
    turnover = turnover_between(before, after)
    cost = turnover * COST_BPS / 10_000
    gross = overnight + intraday
    return {
        "gross_return": gross.quantize(PLACES),
        "cost": cost.quantize(PLACES),
        "turnover": turnover.quantize(PLACES),
        "pnl": (capital * (gross - cost)).quantize(CENT),
        "rank_ic": _rank_ic(scores, {name: move[1] for name, move in moves.items()}, session),
        "unpriced": sorted({*before, *after} - set(moves)),
    }


def _moves(symbols: list[str], session: date) -> dict[str, tuple[Decimal, Decimal]]:
    """Return close to open and open to close of a session by symbol, with dividends and in the session's shares."""
    bars = bars_of(
        symbols, start=session - timedelta(days=BACK_DAYS), end=session, adjustment="total_return", as_of=session
    )
    previous = calendar.previous_session(session)
    closes = dict(bars.filter(pl.col("date") == previous).select("symbol", "close").rows())
    today = bars.filter(pl.col("date") == session).select("symbol", "open", "close").rows()
    return {
        symbol: (_ratio(opened, closes[symbol]), _ratio(closed, opened))
        for symbol, opened, closed in today
        if symbol in closes
    }


def _ratio(now: float, then: float) -> Decimal:
    return Decimal(repr(now)) / Decimal(repr(then)) - 1


def _rank_ic(scores: Mapping[str, float], moves: Mapping[str, Decimal], session: date) -> float | None:
    rows = [(session, name, value, float(moves[name])) for name, value in sorted(scores.items()) if name in moves]
    if len(rows) < FEWEST_NAMES:
        return None
    frame = pl.DataFrame(rows, schema=["date", "symbol", "score", "label"], orient="row")
    found: float | None = daily_ic(frame, method="spearman")["ic"][0]
    return found
