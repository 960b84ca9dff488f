"""The steps of a run, each from what the steps before it have stored to what it stores itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

from django.conf import settings

from execution.models import Account, Order, Strategy
from execution.services.orders import submit_orders
from execution.states import OPEN
from marketdata import calendar
from marketdata import selectors as market
from marketdata.errors import FutureTimestampError
from marketdata.freshness import FreshnessMode, FreshnessReport, check_freshness
from marketdata.models import Instrument
from marketdata.types import FeedKind
from risk.types import OrderIntent, OrderType, Origin, Side, TimeInForce
from signals.registry import standing
from signals.selectors import outcomes
from signals.services.generation import generate_signals
from signals.services.model_sources import active_pins, pinned
from signals.strategies.base import rules_of
from signals.strategies.registry import get_strategy
from trading import selectors
from trading.errors import EmptyUniverseError, OrdersStillOpenError, StaleDataError
from trading.models import Run
from trading.states import StepName
from trading.targets import Outcome, Target, intents_for, plan_targets
from trading.types import Sizing, Stopwatch

FRESHNESS_SESSIONS = 10
"""How far back the newest bar of a stale symbol is looked for."""


@dataclass(slots=True)
class Work:
    """A run in progress: its row, the time, and the outputs of its completed steps."""

    run: Run
    watch: Stopwatch
    outputs: dict[StepName, dict[str, Any]] = field(default_factory=dict)

    @property
    def sizing(self) -> Sizing:
        """Return universe and money the run was started with."""
        return Sizing.from_json(self.run.sizing)


def desk_sizing(account: Account, strategy: Strategy) -> Sizing:
    """Return what a strategy trades on the desk: every tradable instrument, with its share of the account's capital.

    :raises EmptyUniverseError: no instrument is tradable
    """
    symbols = tuple(Instrument.objects.filter(tradable=True).order_by("symbol").values_list("symbol", flat=True))
    if not symbols:
        raise EmptyUniverseError("no instrument is tradable")
    return Sizing(
        symbols=symbols,
        capital=account.starting_cash * strategy.capital_share,
        max_position_size=Decimal(settings.MAX_POSITION_SIZE),
    )


def check_bars(work: Work) -> dict[str, Any]:
    """Find the symbols with a bar of the as-of session (MD4); the others are named and left out.

    :raises StaleDataError: fewer than `MIN_FRESH_PCT` per cent of them have one
    :raises FutureTimestampError: at a market in real time, a bar is of a session that is not over
    """
    as_of = work.run.as_of_date
    _refuse_bars_of_the_future(work)
    report = fresh_symbols(work.sizing.symbols, as_of)
    return {
        "as_of": as_of.isoformat(),
        "fresh": report.fresh_symbols,
        "stale_seconds": report.stale_symbols,
        "missing": report.missing_symbols,
    }


def _refuse_bars_of_the_future(work: Work) -> None:
    """Refuse a lake that knows more than the market; that of a replay always does."""
    feed, wall_now = work.run.account.feed, work.watch.now()
    if feed.kind != FeedKind.REAL:
        return
    now = feed.market_now(wall_now)
    later = market.bars(work.sizing.symbols, start=calendar.last_closed_session(now) + timedelta(days=1))
    if not later.is_empty():
        symbol, day = later.select("symbol", "date").row(0)
        raise FutureTimestampError(symbol, calendar.session_close(day), now)


def fresh_symbols(symbols: Sequence[str], as_of: date) -> FreshnessReport:
    """Return which of the symbols have a bar of the session.

    :raises StaleDataError: fewer than `MIN_FRESH_PCT` per cent of them have one
    """
    start = calendar.sessions_between(as_of - timedelta(days=2 * FRESHNESS_SESSIONS), as_of)[-FRESHNESS_SESSIONS]
    report = check_freshness(
        market.bars(symbols, start=start, end=as_of),
        timedelta(0),
        cast(FreshnessMode, settings.FRESHNESS_MODE),
        now=calendar.session_close(as_of),
        expected=list(symbols),
        min_fresh_pct=settings.MIN_FRESH_PCT,
    )
    if not report.fresh_symbols:
        raise StaleDataError(f"no symbol has a bar of {as_of.isoformat()}: {report.detail}")
    if not report.fresh:
        raise StaleDataError(
            f"{len(report.fresh_symbols)} of {len(symbols)} symbols have a bar of {as_of.isoformat()}, "
            f"at least {settings.MIN_FRESH_PCT} % must: {report.detail}"
        )
    return report


def make_signals(work: Work) -> dict[str, Any]:
    """Generate the strategy's signals on the fresh symbols as of the last close, with the models the run began with.

    :raises SignalError: a model is missing or cannot be used
    """
    symbols = work.outputs[StepName.FRESHNESS]["fresh"]
    models = work.sizing.models or active_pins([work.run.strategy.name])
    signal_set = generate_signals(
        strategy=get_strategy(work.run.strategy.name),
        symbols=symbols,
        as_of=work.run.as_of_date,
        wall_now=work.watch.now(),
        models=pinned(models),
        present=present_weights(work, symbols),
    )
    weights, excluded = outcomes(signal_set)
    return {
        "signal_set": signal_set.pk,
        "as_of": signal_set.as_of_date.isoformat(),
        "models": dict(models),
        "weights": {symbol: f"{weight:f}" for symbol, weight in weights.items()},
        "excluded": excluded,
    }


def present_weights(work: Work, symbols: Sequence[str]) -> dict[str, Decimal]:
    """Return what a strategy with portfolio rules holds, as signed fractions of the capital it is sized with."""
    if rules_of(get_strategy(work.run.strategy.name)) is None:
        return {}
    book = selectors.strategy_book(work.run.account, work.run.strategy, symbols)
    rules = work.sizing.rules(profit=book.profit)
    usable = rules.capital * (1 - rules.cash_buffer)
    if usable <= 0:
        return {}
    return {
        symbol: holding.quantity * holding.price / usable
        for symbol, holding in sorted(book.holdings.items())
        if holding.quantity and holding.price is not None
    }


def make_targets(work: Work) -> dict[str, Any]:
    """Size the weights on the strategy's capital with its profit so far, against what it holds and has open."""
    weights = {symbol: Decimal(text) for symbol, text in work.outputs[StepName.SIGNALS]["weights"].items()}
    book = selectors.strategy_book(work.run.account, work.run.strategy, weights)
    rules = work.sizing.rules(profit=book.profit)
    targets = plan_targets(weights=weights, holdings=book.holdings, rules=rules)
    return {
        "capital": f"{rules.capital:f}",
        "profit": f"{book.profit:f}",
        "targets": [_target_json(target) for target in targets],
    }


def make_intents(work: Work) -> dict[str, Any]:
    """Turn the targets into orders; from here on a repeat sends these and no others."""
    run, targets = work.run, [_target(stored) for stored in work.outputs[StepName.TARGETS]["targets"]]
    key = f"{run.kind}:{run.strategy.name}:{run.trading_date.isoformat()}"
    intents = intents_for(targets, strategy=run.strategy.name, key=key, source_ref=f"run:{run.pk}")
    return {"intents": [_intent_json(intent) for intent in intents]}


def submit_batch(work: Work) -> dict[str, Any]:
    """Put the intents before the gate, as one batch; denials are results, not failures."""
    as_of = work.outputs[StepName.SIGNALS].get("as_of")  # a run that was begun before this was kept has none
    told = None if as_of is None else date.fromisoformat(as_of)
    refusal = _model_refusal(work)
    intents = [_intent(stored, told, refusal) for stored in work.outputs[StepName.INTENTS]["intents"]]
    results = submit_orders(intents=intents, account=work.run.account, wall_now=work.watch.now())
    orders = [
        {
            "order": None if result.order is None else result.order.pk,
            "client_order_id": "" if result.order is None else result.order.client_order_id,
            "symbol": intent.symbol,
            "side": str(intent.side),
            "quantity": f"{intent.quantity:f}",
            "denials": [denial.as_dict() for denial in result.denials],
        }
        for intent, result in zip(intents, results, strict=True)
    ]
    denied = sum(1 for order in orders if order["denials"])
    return {"orders": orders, "accepted": len(orders) - denied, "denied": denied}


def _model_refusal(work: Work) -> str:
    """Return why a model that the run decided with must not be traded on; empty when it may.

    A replay may use any version; what the desk trades stands on one that is, or was until now, the active one.
    """
    if work.run.account.kind != Account.Kind.DESK:
        return ""
    used = work.outputs[StepName.SIGNALS].get("models", {})  # a run that was begun before this was kept has none
    return "; ".join(problem for problem in (standing(version) for version in used.values()) if problem)


def collect_fills(work: Work) -> dict[str, Any]:
    """Read how the run's orders ended.

    :raises OrdersStillOpenError: at least one may still fill
    """
    ids = [stored["order"] for stored in work.outputs[StepName.BATCH]["orders"] if stored["order"] is not None]
    columns = ("id", "client_order_id", "status", "filled_quantity", "average_fill_price")
    rows = Order.objects.filter(pk__in=ids).order_by("id").values(*columns) if ids else []
    open_ids = [row["client_order_id"] for row in rows if row["status"] in OPEN]
    if open_ids:
        raise OrdersStillOpenError(f"{len(open_ids)} orders of run {work.run.pk} may still fill")
    return {
        "orders": [
            {
                "client_order_id": row["client_order_id"],
                "status": row["status"],
                "filled_quantity": f"{row['filled_quantity']:f}",
                "average_fill_price": None if row["average_fill_price"] is None else f"{row['average_fill_price']:f}",
            }
            for row in rows
        ]
    }


def write_report(work: Work) -> dict[str, Any]:
    """Summarise the run: what was wanted, what passed, what filled, at what value (account currency)."""
    batch, fills = work.outputs[StepName.BATCH], work.outputs[StepName.FILLS]["orders"]
    codes = Counter(denial["code"] for order in batch["orders"] for denial in order["denials"])
    traded = [
        Decimal(fill["filled_quantity"]) * Decimal(fill["average_fill_price"])
        for fill in fills
        if fill["average_fill_price"] is not None
    ]
    signals = work.outputs[StepName.SIGNALS]
    return {
        "as_of": work.run.as_of_date.isoformat(),
        "signal_set": signals["signal_set"],
        "weights": signals["weights"],
        "excluded": signals["excluded"],
        "capital": work.outputs[StepName.TARGETS]["capital"],
        "intents": len(batch["orders"]),
        "accepted": batch["accepted"],
        "denied": batch["denied"],
        "denial_codes": dict(sorted(codes.items())),
        "statuses": dict(sorted(Counter(fill["status"] for fill in fills).items())),
        "traded_notional": f"{sum(traded, Decimal(0)):f}",
    }


def _target_json(target: Target) -> dict[str, Any]:
    return {
        "symbol": target.symbol,
        "outcome": str(target.outcome),
        "weight": None if target.weight is None else f"{target.weight:f}",
        "price": None if target.price is None else f"{target.price:f}",
        "target": f"{target.quantity:f}",
        "held": f"{target.held_quantity:f}",
        "trade": f"{target.trade_quantity:f}",
    }


def _target(stored: dict[str, Any]) -> Target:
    return Target(
        symbol=stored["symbol"],
        outcome=Outcome(stored["outcome"]),
        weight=None if stored["weight"] is None else Decimal(stored["weight"]),
        price=None if stored["price"] is None else Decimal(stored["price"]),
        quantity=Decimal(stored["target"]),
        held_quantity=Decimal(stored["held"]),
        trade_quantity=Decimal(stored["trade"]),
    )


def _intent_json(intent: OrderIntent) -> dict[str, Any]:
    return {
        "strategy": intent.strategy,
        "symbol": intent.symbol,
        "side": str(intent.side),
        "quantity": f"{intent.quantity:f}",
        "order_type": str(intent.order_type),
        "time_in_force": str(intent.time_in_force),
        "reduce_only": intent.reduce_only,
        "idempotency_key": intent.idempotency_key,
        "source_ref": intent.source_ref,
    }


def _intent(stored: dict[str, Any], signals_as_of: date | None, model_refusal: str) -> OrderIntent:
    return OrderIntent(
        strategy=stored["strategy"],
        symbol=stored["symbol"],
        side=Side(stored["side"]),
        quantity=Decimal(stored["quantity"]),
        order_type=OrderType(stored["order_type"]),
        time_in_force=TimeInForce(stored["time_in_force"]),
        reduce_only=stored["reduce_only"],
        idempotency_key=stored["idempotency_key"],
        origin=Origin.RUN,
        source_ref=stored["source_ref"],
        signals_as_of=signals_as_of,
        model_refusal=model_refusal,
    )
