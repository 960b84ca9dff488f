"""Every task of the worker as one that is killed: what it needs, where it dies, and what it leaves in the end.

A task's effect is told in words that do not name the account or the trial, so that the effect of one that was killed
and delivered again can be compared with that of one that was left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from django.conf import settings
from django.forms.models import model_to_dict

from execution.brokers import registry
from execution.crashpoints import Point
from execution.emulator.bar_market import SampleMarket
from execution.emulator.clock import VenueClock
from execution.emulator.market import Listing, ScriptedMarket
from execution.emulator.server import RunningEmulator
from execution.models import (
    Account,
    AccountDay,
    Break,
    BrokerLink,
    CashEntry,
    Fill,
    ParentOrder,
    ReconciliationRun,
    Strategy,
    StrategyDay,
)
from execution.parent_orders import progress
from execution.services.accounts import open_account
from marketdata import calendar, ticks
from marketdata.clock import ClockState
from marketdata.lake import BarLake, bar_schema
from marketdata.models import CorporateAction, Instrument
from marketdata.models.instruments import PERMISSIONS
from marketdata.providers.sample import SAMPLE_NAMES, SampleProvider
from marketdata.selectors import bars
from marketdata.services.feeds import follow_clock, set_market_time
from marketdata.types import Timeframe
from risk.models import Alert, Correlation, Decision
from signals.feature_store import features_for
from signals.features import alpha158_newest
from signals.models import ModelVersion, ShadowResult, ShadowSet
from signals.registry import shadow, store
from signals.services.replay_models import train_on_past
from signals.training import TrainedModel
from tests.execution.slicing.desk import SlicingDesk, next_due
from tests.factories import WALL_NOW
from tests.trading.days import FIRST, morning, orders_of, rest_of_day
from trading import tasks
from trading.models import Heartbeat, Run
from trading.services.market_day import closing_events, dispatch_all, opening_events
from trading.services.runs import LEASE, run_strategy
from trading.services.shadow_runs import score_version as score_shadow_version

STRATEGY = "momentum"
SHADOWED = "alpha_baseline"
NEXT_DELIVERY = LEASE + timedelta(seconds=10)
"""Wall time after which a task is delivered again: the lease of who died is over."""
RUN_POINTS = (Point.RUN_AFTER_CLAIM, Point.RUN_BEFORE_RECORD, Point.RUN_AFTER_RECORD, Point.RUN_BEFORE_RELEASE)
GATE_POINTS = (Point.GATE_BEFORE_WRITE, Point.GATE_BEFORE_COMMIT, Point.GATE_AFTER_COMMIT)
BOOK_POINTS = (Point.REPORTS_BEFORE_SAVE, Point.REPORTS_BEFORE_COMMIT, Point.REPORTS_AFTER_COMMIT)
IMPORTED = date(2012, 6, 7)
BROKER_DAY = date(2012, 6, 14)
OLD_TICKS, KEPT_TICKS = WALL_NOW.date() - timedelta(days=400), WALL_NOW.date() - timedelta(days=4)
BROKER_MORNING = calendar.session_open(BROKER_DAY) - timedelta(minutes=45)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One task as the worker gets it; `settings` are those of the process, `wall` is its time."""

    task: str
    arguments: tuple[str | int, ...]
    wall: datetime = WALL_NOW
    settings: dict[str, Any] = field(default_factory=dict)

    def perform(self) -> None:
        """Run it in this process, which is a child that nobody needs afterwards."""
        for name, value in self.settings.items():
            setattr(settings, name, value)
        registry._line_of.cache_clear()
        tasks.wall_now = lambda: self.wall
        tasks.perform(self.task, *self.arguments, asked_at=self.wall.isoformat())


def perform(delivery: Delivery) -> None:
    """Run a task in a child."""
    delivery.perform()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A task that can be delivered, and what reads its effect."""

    delivery: Delivery
    effect: Callable[[], object]

    def later(self) -> Ready:
        """Return the same, delivered when the lease of who died is over."""
        return replace(self, delivery=replace(self.delivery, wall=self.delivery.wall + NEXT_DELIVERY))


class World:
    """What the tasks of a test share: the lake of the sample, and an emulator that some of them ask."""

    def __init__(self, lake: Path, root: Path, *, data: RunningEmulator, lists: RunningEmulator) -> None:
        self.lake, self.root = lake, root
        self.data, self.lists = data, lists
        self.count = 0

    def name(self) -> str:
        """Return a name that nobody had before."""
        self.count += 1
        return f"trial-{self.count}"

    def at_broker(self, task: str, name: str, lake: Path, emulator: RunningEmulator) -> tuple[Account, Delivery]:
        """Return an account at the emulator in the hour before an open, and the task for it."""
        state = ClockState(kind="replay", start_at=BROKER_MORNING, speed=1, anchor_at=WALL_NOW)
        account = open_account(
            name=name,
            mode=Account.Mode.ALPACA_PAPER,
            kind=Account.Kind.DESK,
            feed=follow_clock(name=name, state=state, wall_now=WALL_NOW),
            starting_cash=100_000,
            wall_now=WALL_NOW,
        )
        keys = emulator.keys
        addresses = {
            "ALPACA_API_KEY_ID": keys.key_id,
            "ALPACA_API_SECRET_KEY": keys.secret,
            "ALPACA_BASE_URL": emulator.url,
            "ALPACA_DATA_URL": emulator.url,
            "ALPACA_STREAM_URL": emulator.stream_url,
            "LAKE_DIR": lake,
        }
        return account, Delivery(task=task, arguments=(account.pk,), settings=addresses)


@contextmanager
def world(lake: Path, root: Path) -> Iterator[World]:
    """Yield what the tasks need: an emulator with the sample's bars, and one that trades and lends less."""
    less = ScriptedMarket()
    less.add_listing(Listing(symbol="AAPL", tradable=False))
    less.add_listing(Listing(symbol="IBM", shortable=False))
    clock = VenueClock.manual(BROKER_MORNING)
    with (
        RunningEmulator(market=SampleMarket(), clock=clock, rate_limit=10**9) as data,
        RunningEmulator(market=less, clock=clock, rate_limit=10**9) as lists,
    ):
        yield World(lake, root, data=data, lists=lists)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCase:
    """How a task is made ready, and the places that it surely passes, with how often; it also dies at any moment."""

    prepare: Callable[[World], Ready]
    points: dict[Point, int] = field(default_factory=dict)


def _delivery(here: World, task: str, *arguments: str | int) -> Delivery:
    return Delivery(task=task, arguments=arguments, settings={"LAKE_DIR": here.lake})


def run_daily(here: World) -> Ready:
    account = morning(name=here.name()).account
    delivery = _delivery(here, "run_daily", account.pk, STRATEGY, FIRST.isoformat())
    return Ready(delivery=delivery, effect=lambda: run_of(account))


def run_of(account: Account) -> object:
    """Return the account's only run, its steps, the orders that it made and what the gate decided."""
    run = Run.objects.get(account=account)
    decided = Decision.objects.filter(account=account.name).order_by("pk").values_list("outcome", flat=True)
    steps = list(run.steps.order_by("pk").values_list("name", "state"))
    return run.state, run.order_count, run.denied_count, steps, orders_of(account), list(decided)


def skip_daily(here: World) -> Ready:
    account = morning(name=here.name()).account
    delivery = _delivery(here, "skip_daily", account.pk, STRATEGY, FIRST.isoformat())
    effect = Run.objects.filter(account=account).values_list("state", "reason", "sizing", "steps")
    return Ready(delivery=delivery, effect=lambda: list(effect.all()))


def close_day(here: World) -> Ready:
    """Close a day on which something was bought, whose reports are in the book but for the last."""
    account = executed_unheard(here)
    delivery = _delivery(here, "close_day", account.pk, FIRST.isoformat())
    return Ready(delivery=delivery, effect=lambda: day_of(account))


def day_of(account: Account) -> object:
    """Return the closed day, the account's and the strategies', and what moved cash and shares."""
    left_out = ["id", "account"]
    days = [model_to_dict(row, exclude=left_out) for row in AccountDay.objects.filter(account=account)]
    parts = StrategyDay.objects.filter(account=account).order_by("strategy_id")
    fills = Fill.objects.filter(account=account).order_by("pk").values_list("quantity", "price", "fee")
    cash = CashEntry.objects.filter(account=account).order_by("pk").values_list("kind", "amount")
    return days, [model_to_dict(row, exclude=left_out) for row in parts], list(fills), list(cash)


def reconcile(here: World) -> Ready:
    """Compare books that differ by what was executed and not heard of."""
    account = executed_unheard(here)
    return Ready(delivery=_delivery(here, "reconcile", account.pk), effect=lambda: compared(account))


def compared(account: Account) -> object:
    """Return the newest verdict, what differs, whether a run is left under way, and what is booked."""
    runs = ReconciliationRun.objects.filter(account=account).order_by("pk")
    under_way = runs.filter(state=ReconciliationRun.State.RUNNING).count()
    verdict = runs.values_list("state", "orders_compared", "positions_compared", "open_breaks").last()
    breaks = list(Break.objects.filter(account=account).order_by("pk").values_list("kind", "subject", "state"))
    state = Account.objects.values_list("reconciliation", flat=True).get(pk=account.pk)
    return verdict, under_way, breaks, state, day_of(account)


def executed_unheard(here: World) -> Account:
    """Return an account whose orders were executed in both auctions of the day, which nobody has told the book."""
    desk = morning(name=here.name())
    run_now(desk.account)
    dispatch_all(desk, WALL_NOW)
    for at, events in ((calendar.session_open, opening_events), (calendar.session_close, closing_events)):
        set_market_time(feed=desk.account.feed, at=at(FIRST))
        desk.broker.advance(events(desk.provider, FIRST))
    return desk.account


def finish_run(here: World) -> Ready:
    desk = morning(name=here.name())
    run_now(desk.account)
    rest_of_day(desk)
    run = Run.objects.get(account=desk.account)
    return Ready(delivery=_delivery(here, "finish_run", run.pk), effect=lambda: report_of(desk.account))


def report_of(account: Account) -> object:
    run = Run.objects.get(account=account)
    told = {name: value for name, value in run.report.items() if name != "signal_set"}
    return run.state, told, list(run.steps.order_by("pk").values_list("name", "state"))


def import_bars(here: World) -> Ready:
    """Import the bars of four sessions into a lake of its own."""
    name = here.name()
    lake = here.root / name
    BarLake(lake).write(SampleProvider().bars(start=date(2012, 6, 1), end=IMPORTED), "1d", "sample")
    _account, delivery = here.at_broker("import_bars", name, lake, here.data)
    return Ready(delivery=delivery, effect=lambda: bars_of(lake))


def bars_of(lake: Path) -> object:
    """Return every bar of the lake, and what is left over beside it."""
    frame = BarLake(lake).scan(Timeframe.DAY, symbols=list(SAMPLE_NAMES), start=date(2012, 1, 1), end=BROKER_DAY)
    bars = frame.select(bar_schema().names()).sort("symbol", "date").collect().rows()
    strays = sorted(path.suffix for path in lake.rglob("*") if path.is_file() and path.suffix != ".parquet")
    return bars, CorporateAction.objects.count(), strays


def read_assets(here: World) -> Ready:
    """Read a list that takes two permissions away from instruments that have all of them."""
    name = here.name()
    everything = dict.fromkeys(PERMISSIONS, True) | {f"{name}_denied_by": "" for name in PERMISSIONS}
    Instrument.objects.update(**everything)
    account, delivery = here.at_broker("read_assets", name, here.lake, here.lists)
    return Ready(delivery=delivery, effect=lambda: permissions(account))


def permissions(account: Account) -> object:
    fields = ("symbol", "tradable", "shortable", "fractionable")
    told = list(Instrument.objects.order_by("symbol").values_list(*fields))
    link = BrokerLink.objects.filter(account=account).values_list("assets_for", "assets_problem").first()
    return told, link


def send_slices(here: World) -> Ready:
    """Send the first slice of a parent that is due."""
    desk = SlicingDesk()
    parent = desk.parent()
    desk.go(next_due(parent) or desk.at)
    return Ready(delivery=_delivery(here, "send_slices", desk.account.pk), effect=lambda: slices_of_parent(parent.pk))


def slices_of_parent(parent_id: int) -> object:
    """Return the plan, the orders that came of it and how far the parent is."""
    parent = ParentOrder.objects.get(pk=parent_id)
    plan = list(parent.slices.order_by("number").values_list("number", "status", "quantity"))
    orders = list(parent.children.order_by("pk").values_list("slice_number", "status", "quantity"))
    return parent.status, progress(parent).used, plan, orders


def watch_portfolio(here: World) -> Ready:
    """Measure a portfolio of two names, on the first look of a session."""
    desk = morning(name=here.name())
    run_now(desk.account)
    rest_of_day(desk)
    Correlation.objects.all().delete()
    account = desk.account
    return Ready(delivery=_delivery(here, "watch_portfolio", account.pk), effect=lambda: measured(account))


def measured(account: Account) -> object:
    """Return the correlations, and what people were told of this account."""
    pairs = list(Correlation.objects.order_by("symbol", "other").values_list("symbol", "other", "coefficient"))
    alerts = Alert.objects.filter(subject__startswith=account.scope).order_by("code", "pk")
    return pairs, list(alerts.values_list("code", "state", "severity"))


@cache
def trained() -> TrainedModel:
    return train_on_past(symbols=("GOOG", "IBM", "MSFT"), first=date(2010, 1, 4), last=date(2011, 6, 30), seed=7)


def shadow_version() -> ModelVersion:
    """Return one more version in the shadow, alike all others but for its identity."""
    another = replace(trained(), seed=ModelVersion.objects.count())
    made = store(strategy=SHADOWED, trained=another, created_by="trial", now=WALL_NOW)
    return shadow(made.pk, actor="trial", reason="to be asked and killed", now=WALL_NOW)


def score_version(here: World) -> Ready:
    """Ask a version in the shadow about the morning's close."""
    account, version = morning(name=here.name()).account, shadow_version()
    return Ready(
        delivery=_delivery(here, "score_version", account.pk, version.pk, FIRST.isoformat()),
        effect=lambda: shadow_record(version.pk),
    )


def settle_shadow_results(here: World) -> Ready:
    """Settle the session that a version in the shadow was asked about."""
    account, version = morning(name=here.name()).account, shadow_version()
    score_shadow_version(account=account, version_id=version.pk, day=FIRST, wall_now=WALL_NOW)
    return Ready(
        delivery=_delivery(here, "settle_shadow_results", account.pk, SHADOWED, FIRST.isoformat()),
        effect=lambda: shadow_record(version.pk),
    )


def shadow_record(version_id: int) -> object:
    """Return what a version said and what it brought."""
    sets = ShadowSet.objects.filter(version=version_id)
    said = sets.order_by("pk").values_list(
        "as_of_date", "failure", "signals__instrument__symbol", "signals__target_weight"
    )
    results = ShadowResult.objects.filter(version=version_id).order_by("pk")
    return sorted(said, key=str), list(results.values_list("session", "role", "gross_return", "cost", "pnl", "rank_ic"))


def keep_ticks(here: World) -> Ready:
    """Delete a day of ticks, and put the files of another one together."""
    account, lake = morning(name=here.name()).account, here.root / here.name()
    for day, files in ((OLD_TICKS, 2), (KEPT_TICKS, 3)):
        for number in range(files):
            at = datetime(day.year, day.month, day.day, 15, number, tzinfo=UTC)
            row = ("main", "trade", "IBM", at, at, float(number), None, None, str(number), "trial")
            whole = pl.DataFrame([row], schema=ticks.SCHEMA, orient="row")
            ticks.write_file(lake / "ticks", whole, feed="main", kind="trade", day=day, first=at)
    delivery = replace(_delivery(here, "keep_ticks", account.pk), settings={"LAKE_DIR": lake})
    return Ready(delivery=delivery, effect=lambda: ticks_of(lake / "ticks"))


def ticks_of(root: Path) -> object:
    """Return what is stored, in how many files of a day, and what lies beside them."""
    stored = ticks.files(root)
    strays = [path.name for path in root.rglob("*") if path.is_file() and path.suffix != ".parquet"]
    prices = ticks.scan([file.path for file in stored]).sort("at").collect()["price"].to_list()
    return [(file.day, file.kind) for file in stored], prices, [name for name in strays if not name.endswith(".tmp")]


def precompute_features(here: World) -> Ready:
    """Put a session into the cache that nobody has asked about."""
    here.count += 1
    session = calendar.latest_sessions(FIRST, here.count + 1)[0]
    return Ready(
        delivery=_delivery(here, "precompute_features", session.isoformat()), effect=lambda: cached_whole(session)
    )


def cached_whole(session: date) -> object:
    """Tell where the features come from, and whether they are those of the bars."""
    symbols = sorted(SAMPLE_NAMES)
    kept = features_for(symbols=symbols, session=session)
    computed = alpha158_newest(bars(symbols, end=session, adjustment="total_return", as_of=session))
    return kept.source, kept.frame.height, kept.frame.equals(computed.filter(pl.col("date") == session))


def worker_heartbeat(here: World) -> Ready:
    return Ready(
        delivery=_delivery(here, "worker_heartbeat", WALL_NOW.isoformat()),
        effect=lambda: list(Heartbeat.objects.filter(name="worker").values_list("name", flat=True)),
    )


def run_now(account: Account) -> None:
    """Let the strategy decide and send."""
    strategy = Strategy.objects.get(name=STRATEGY)
    run_strategy(account=account, strategy=strategy, trading_date=FIRST, wall_now=WALL_NOW)


TASK_CASES: dict[str, TaskCase] = {
    "run_daily": TaskCase(
        prepare=run_daily,
        points=dict(zip(RUN_POINTS, (1, 5, 5, 1), strict=True)) | dict.fromkeys(GATE_POINTS, 1),
    ),
    "skip_daily": TaskCase(prepare=skip_daily),
    "close_day": TaskCase(
        prepare=close_day, points=dict.fromkeys((*BOOK_POINTS, Point.CLOSE_BETWEEN_ROWS, Point.CLOSE_BEFORE_COMMIT), 1)
    ),
    "finish_run": TaskCase(prepare=finish_run, points=dict(zip(RUN_POINTS, (1, 2, 2, 1), strict=True))),
    "import_bars": TaskCase(prepare=import_bars),
    "read_assets": TaskCase(prepare=read_assets),
    "reconcile": TaskCase(
        prepare=reconcile,
        points=dict.fromkeys((*BOOK_POINTS, Point.RECOVERY_BEFORE_STATE, Point.RECOVERY_AFTER_STATE), 1),
    ),
    "send_slices": TaskCase(
        prepare=send_slices,
        points=dict.fromkeys((Point.SLICE_AFTER_CLAIM, *GATE_POINTS, Point.SLICE_AFTER_SUBMIT), 1),
    ),
    "watch_portfolio": TaskCase(prepare=watch_portfolio),
    "score_version": TaskCase(prepare=score_version),
    "settle_shadow_results": TaskCase(prepare=settle_shadow_results),
    "keep_ticks": TaskCase(prepare=keep_ticks),
    "precompute_features": TaskCase(prepare=precompute_features),
    "worker_heartbeat": TaskCase(prepare=worker_heartbeat),
}
