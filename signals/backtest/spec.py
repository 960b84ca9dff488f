"""What may be asked of a backtest: every field with its bounds and its default, read once and stored as it was read."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Literal, cast

from signals.backtest.rules import Costs, Rules
from signals.backtest.search import MOST_BATCH, MOST_TRIALS, check_space
from signals.backtest.windows import Plan
from signals.errors import BacktestInputError
from signals.parameters import BadParameter, Parameters, ordered

Kind = Literal["backtest", "walk_forward", "search"]
Fill = Literal["close", "open"]
KINDS: tuple[Kind, ...] = ("backtest", "walk_forward", "search")
OBJECTIVES = ("sharpe", "sortino", "calmar", "total_return")
MOST_SYMBOLS = 2000
MOST_SEED = 2**31 - 1
MOST_DRAWS = 20_000
LONGEST_TITLE = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One backtest as it was asked for; `symbols` empty means every symbol with bars, money in account currency.

    `fill` says at which price of the session orders trade: its close, or its open as the desk does. `settings` replaces
    fields of the strategy's own. `space`, `trials`, `objective` and `holdout` belong to a search and to a walk forward
    that searches anew in each window; `plan` and `model` to a walk forward.
    """

    kind: Kind
    strategy: str
    start: date
    end: date
    symbols: tuple[str, ...] = ()
    title: str = ""
    settings: Mapping[str, Any]
    fill: Fill
    rules: Rules
    seed: int
    draws: int
    block: float
    plan: Plan
    model: Mapping[str, Any]
    space: Mapping[str, Any]
    trials: int
    batch: int
    objective: str
    holdout: float

    def as_json(self) -> dict[str, Any]:
        """Return what `read_spec` reads back as the same."""
        rules = {each.name: getattr(self.rules, each.name) for each in fields(Rules) if each.name != "costs"}
        costs = {each.name: getattr(self.rules.costs, each.name) for each in fields(Costs)}
        stored: dict[str, Any] = {
            "strategy": self.strategy,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "symbols": list(self.symbols) or None,
            "title": self.title or None,
            "settings": dict(self.settings),
            "fill": self.fill,
            **rules,
            **costs,
            "seed": self.seed,
            "draws": self.draws,
            "block": self.block,
        }
        if self.kind == "walk_forward":
            plan = {each.name: getattr(self.plan, each.name) for each in fields(Plan)}
            stored |= {**plan, "model": dict(self.model)}
        if self.kind == "search" or self.space:
            searched: dict[str, Any] = {"space": dict(self.space), "trials": self.trials, "batch": self.batch}
            searched["objective"] = self.objective
            stored |= searched | ({"holdout": self.holdout} if self.kind == "search" else {})
        return stored


def read_spec(kind: str, given: Mapping[str, Any]) -> Spec:
    """Read the parameters of a backtest strictly.

    :raises BadParameter: a name that is not known here, or a value that is not allowed
    """
    if kind not in KINDS:
        raise BadParameter("kind", kind, f"one of {', '.join(KINDS)}")
    read = Parameters(given)
    start, end = read.day("start"), read.day("end")
    ordered(start, end)
    symbols = read.symbols(default=())
    if len(symbols) > MOST_SYMBOLS:
        raise BadParameter("symbols", f"{len(symbols)} symbols", f"at most {MOST_SYMBOLS}")
    walks, searches = kind == "walk_forward", kind in ("search", "walk_forward")
    space = read.mapping("space", {}, most=20) if searches else {}
    found = Spec(
        kind=kind,
        strategy=read.text("strategy"),
        start=start,
        end=end,
        symbols=tuple(sorted(symbol.upper() for symbol in symbols)),
        title=_title(read),
        settings=read.mapping("settings", {}),
        fill=cast(Fill, read.text("fill", "close", choices=("close", "open"))),
        rules=_rules(read),
        seed=read.whole("seed", 0, least=0, most=MOST_SEED),
        draws=read.whole("draws", 1000, least=0, most=MOST_DRAWS),
        block=read.number("block", 0.0, least=0.0, most=2500.0),
        plan=_plan(read) if walks else Plan(),
        model=read.mapping("model", {}) if walks else {},
        space=space,
        trials=read.whole("trials", 30, least=1, most=MOST_TRIALS) if searches else 0,
        batch=read.whole("batch", 1, least=1, most=MOST_BATCH) if searches else 1,
        objective=read.text("objective", "sharpe", choices=OBJECTIVES) if searches else OBJECTIVES[0],
        holdout=read.number("holdout", 0.3, least=0.05, most=0.9) if kind == "search" else 0.0,
    )
    read.finish()
    _require_space(found)
    return found


def _rules(read: Parameters) -> Rules:
    costs = Costs(
        commission_bps=read.number("commission_bps", 0.5, least=0.0, most=1000.0),
        half_spread_bps=read.number("half_spread_bps", 2.0, least=0.0, most=1000.0),
        impact=read.number("impact", 1.0, least=0.0, most=100.0),
        borrow_bps=read.number("borrow_bps", 50.0, least=0.0, most=10_000.0),
    )
    return Rules(
        capital=read.number("capital", 1e6, least=1.0, most=1e12),
        delay=read.whole("delay", 1, least=1, most=20),
        invested=read.number("invested", 1.0, least=0.01, most=2.0),
        max_participation=read.number("max_participation", None, least=1e-6, most=1.0),
        settle_after=read.whole("settle_after", None, least=1, most=1000),
        delisting_return=read.number("delisting_return", 0.0, least=-1.0, most=1.0),
        costs=costs,
    )


def _plan(read: Parameters) -> Plan:
    return Plan(
        train=read.whole("train", 504, least=20, most=10_000),
        valid=read.whole("valid", 126, least=0, most=2_000),
        test=read.whole("test", 63, least=5, most=2_000),
        embargo=read.whole("embargo", 5, least=2, most=60),
        expanding=read.flag("expanding", default=False),
    )


def _title(read: Parameters) -> str:
    title: str = read.text("title", "")
    if len(title) > LONGEST_TITLE or not title.isprintable():
        raise BadParameter("title", title, f"up to {LONGEST_TITLE} printable characters")
    return title


def _require_space(spec: Spec) -> None:
    if spec.kind == "search" or spec.space:
        try:
            check_space(spec.space)
        except BacktestInputError as error:
            raise BadParameter(error.field, error.value, error.allowed) from error
