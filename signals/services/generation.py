"""Make and store the signals of one strategy as of one session's close."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import structlog
from django.db import transaction

from marketdata.models import Instrument
from signals.errors import FutureFeatureError, ScoresRejectedError, SignalError, UnknownSymbolsError
from signals.models import ExcludedReason, Signal, SignalSet
from signals.portfolio import WEIGHT_STEP, ZERO, approach, make_room
from signals.registry import active_model
from signals.services.model_sources import ModelSource, models_used, ready
from signals.services.refusals import count_refusals, count_refused_set
from signals.services.scoring import Material, material_for
from signals.strategies.base import SCORE_SCHEMA, SignalStrategy, rules_of
from signals.strategies.registry import code_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Scores that may become weights, best first, and why the other symbols may not."""

    scores: pl.DataFrame
    excluded: dict[str, ExcludedReason]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a strategy says about its symbols, not stored yet."""

    strategy: SignalStrategy
    scores: pl.DataFrame
    admitted: Admitted
    weights: dict[str, Decimal]


def generate_signals(
    *,
    strategy: SignalStrategy,
    symbols: Sequence[str],
    as_of: date,
    wall_now: datetime,
    models: ModelSource = active_model,
    present: Mapping[str, Decimal] | None = None,
) -> SignalSet:
    """Return the stored signals of these inputs; compute and store them when they are new.

    Prices are adjusted for dividends and splits as known on `as_of`, and no row after it is read. `models` hands out
    the models, the active ones when nothing else is said. `present` are the weights held now, from which a strategy
    with a turnover cap moves; None: nothing is held. What is refused is counted by reason.
    :raises UnknownSymbolsError: a symbol is no instrument
    :raises NotASessionError: `as_of` is no trading session
    :raises FutureFeatureError: a row or a feature is dated after `as_of`
    :raises SignalError: a model or a member is missing or cannot be used
    """
    try:
        return _generate(strategy, symbols, as_of, wall_now, models, present or {})
    except SignalError as refused:
        log.warning("signals_refused", strategy=strategy.name, as_of=str(as_of), code=refused.code, reason=str(refused))
        count_refused_set(strategy=strategy.name, reason=refused.code, detail=str(refused), wall_now=wall_now)
        raise


def _generate(
    strategy: SignalStrategy,
    symbols: Sequence[str],
    as_of: date,
    wall_now: datetime,
    models: ModelSource,
    present: Mapping[str, Decimal],
) -> SignalSet:
    instruments = known_instruments(symbols)
    able = ready(strategy, models)
    held = _held(able, present)
    material = material_for(able, sorted(instruments), as_of)
    identity = _identity(able, sorted(instruments), as_of, material, held)
    stored = SignalSet.objects.filter(**identity).first()
    if stored is not None:
        return stored
    outcome = score(able, material, sorted(instruments), as_of, held)
    signal_set, created = _store(identity, outcome, material, sorted(instruments), instruments, held, wall_now)
    if created:
        excluded = outcome.admitted.excluded
        for symbol, reason in excluded.items():
            log.info("signal_excluded", strategy=able.name, as_of=str(as_of), symbol=symbol, reason=str(reason))
        count_refusals(strategy=able.name, refused=excluded, wall_now=wall_now)
    return signal_set


def score(
    strategy: SignalStrategy,
    material: Material,
    symbols: Sequence[str],
    as_of: date,
    present: Mapping[str, Decimal],
) -> Outcome:
    """Score, admit, and construct the weights under the strategy's rules; nothing is stored.

    :raises FutureFeatureError, ScoresRejectedError: the strategy's answer cannot be used
    """
    scores = material.score()
    admitted = admit(scores, symbols=symbols, as_of=as_of)
    weights = strategy.weights(admitted.scores)
    rules = rules_of(strategy)
    if rules is not None:
        scored = set(admitted.scores["symbol"])
        frozen = [weight for symbol, weight in present.items() if symbol not in scored]
        movable = {symbol: weight for symbol, weight in present.items() if symbol in scored}
        weights = approach(make_room(weights, frozen, rules), movable, rules.turnover)
    return Outcome(strategy=strategy, scores=scores, admitted=admitted, weights=weights)


def admit(scores: pl.DataFrame, *, symbols: Sequence[str], as_of: date) -> Admitted:
    """Split scores into usable ones, ranked, and symbols excluded with a reason (SG5).

    :raises FutureFeatureError: a feature is dated after `as_of`
    :raises ScoresRejectedError: a symbol is scored twice, or was not asked about
    """
    wrong = sorted(
        {*scores.filter(pl.col("symbol").is_duplicated())["symbol"], *(set(scores["symbol"]) - set(symbols))}
    )
    if wrong:
        raise ScoresRejectedError("the strategy", wrong)
    excluded = dict.fromkeys(symbols, ExcludedReason.NO_BARS)
    usable = []
    for symbol, value, feature_date in scores.sort("symbol").rows():
        if feature_date > as_of:
            raise FutureFeatureError(symbol, feature_date, as_of)
        reason = _exclusion(value, feature_date, as_of)
        if reason is None:
            usable.append(symbol)
            del excluded[symbol]
        else:
            excluded[symbol] = reason
    kept = scores.filter(pl.col("symbol").is_in(usable)).sort("score", "symbol", descending=[True, False])
    return Admitted(kept, excluded)


def _exclusion(value: float | None, feature_date: date, as_of: date) -> ExcludedReason | None:
    if feature_date != as_of:
        return ExcludedReason.STALE_FEATURE
    if value is None:
        return ExcludedReason.INSUFFICIENT_HISTORY
    if value - value != 0:  # NaN and both infinities
        return ExcludedReason.NOT_FINITE
    return None


def known_instruments(symbols: Sequence[str]) -> dict[str, int]:
    """Return symbol → key of the instruments asked about.

    :raises UnknownSymbolsError: one of them is none
    """
    found = dict(Instrument.objects.filter(symbol__in=symbols).values_list("symbol", "pk"))
    unknown = sorted(set(symbols) - set(found))
    if unknown:
        raise UnknownSymbolsError(unknown)
    return found


def _held(strategy: SignalStrategy, present: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return the weights that matter to this strategy, none to one without rules, as they are stored."""
    if rules_of(strategy) is None:
        return {}
    rounded = {symbol: weight.quantize(WEIGHT_STEP) for symbol, weight in sorted(present.items())}
    return {symbol: weight for symbol, weight in rounded.items() if weight != ZERO}


def _identity(
    strategy: SignalStrategy, symbols: list[str], as_of: date, material: Material, held: Mapping[str, Decimal]
) -> dict[str, object]:
    decided_by = dict(strategy.parameters)
    if held:
        decided_by["present"] = " ".join(f"{symbol}={weight:f}" for symbol, weight in held.items())
    return {
        "strategy": strategy.name,
        "as_of_date": as_of,
        "universe_hash": _digest(symbols),
        "parameters_hash": _digest(decided_by),
        "data_hash": material.data_hash,
        "code_version": code_of(strategy),
    }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@transaction.atomic
def _store(
    identity: dict[str, object],
    outcome: Outcome,
    material: Material,
    symbols: list[str],
    instruments: dict[str, int],
    held: Mapping[str, Decimal],
    wall_now: datetime,
) -> tuple[SignalSet, bool]:
    """Insert the set, or adopt the one another process stored first."""
    feature_dates = dict(outcome.scores.select("symbol", "feature_date").rows())
    used = models_used(outcome.strategy)
    signal_set, created = SignalSet.objects.get_or_create(
        **identity,
        defaults={
            "universe": symbols,
            "parameters": dict(outcome.strategy.parameters),
            "feature_date": max(feature_dates.values(), default=None),
            "feature_version": material.feature_version,
            "model_version_id": next(iter(used.values())) if len(used) == 1 else None,
            "present": {symbol: f"{weight:f}" for symbol, weight in held.items()},
            "created_at": wall_now,
        },
    )
    if created:
        Signal.objects.bulk_create(
            Signal(signal_set=signal_set, feature_date=feature_dates.get(row["symbol"]), **columns_of(row, instruments))
            for row in rows_of(outcome)
        )
    return signal_set, created


def rows_of(outcome: Outcome) -> list[dict[str, object]]:
    """Return what is to be stored of each symbol: scored ones by rank, then the excluded ones."""
    ranked = outcome.admitted.scores.select("symbol", "score").rows()
    scored: list[dict[str, object]] = [
        {"symbol": symbol, "score": value, "rank": rank, "target_weight": outcome.weights.get(symbol, ZERO)}
        for rank, (symbol, value) in enumerate(ranked, start=1)
    ]
    excluded: list[dict[str, object]] = [
        {"symbol": symbol, "excluded_reason": str(reason)} for symbol, reason in outcome.admitted.excluded.items()
    ]
    return scored + excluded


def columns_of(row: dict[str, object], instruments: Mapping[str, int]) -> dict[str, object]:
    """Return a row of `rows_of` as columns of a model."""
    symbol = str(row["symbol"])
    return {"instrument_id": instruments[symbol], **{name: value for name, value in row.items() if name != "symbol"}}


__all__ = ["SCORE_SCHEMA", "Admitted", "Outcome", "admit", "generate_signals"]
