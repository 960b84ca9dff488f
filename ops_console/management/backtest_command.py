"""What `backtest` and `walk_forward` have in common: compute here with a progress bar, or leave it to the jobs."""

import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from marketdata.clock import wall_now
from ops_console.backtest_words import BY_NAME, written
from ops_console.management.backtest_options import REFUSED_OPTION, engine_choice, output_path, parameters_of
from ops_console.management.operator_command import DONE, REFUSED, OperatorCommand, one_line, operating_system_user
from signals.backtest.files import read_table
from signals.engine import Choice, EngineError, engine_for
from signals.engine.trials import trials_on
from signals.engine.windows import windows_on
from signals.errors import SignalError
from signals.models import Backtest, BacktestState
from signals.parameters import BadParameter
from signals.progress import Cancelled, Progress
from signals.registry import active_model
from signals.services.backtests import give_up, perform_backtest, plan_backtest
from trading.services.backtests import ask_backtest

CANCELED = 130
QUIET_LOGGERS = ("signals", "marketdata", "trading")
SHOWN = (
    "total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "max_drawdown", "longest_drawdown",
    "rank_ic", "turnover", "gross_exposure", "net_exposure", "orders", "cost_total", "final_equity",
    "benchmark_return", "benchmark_sharpe", "benchmark_drawdown",
)  # fmt: skip


class BacktestCommand(OperatorCommand):
    """Compute a backtest, print its figures, keep it for the console."""

    exit_codes = {
        DONE: "computed and stored (or queued, with --queue)",
        REFUSED: "it could not be computed, the line says why",
        REFUSED_OPTION: "an option is not allowed, the line says which",
        CANCELED: "ended by Ctrl-C; stored as canceled",
    }

    def compute(self, kind: str, options: dict[str, Any]) -> None:
        """Plan, compute or queue, tell."""
        for name in QUIET_LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        path, user = output_path(options["output"]), operating_system_user()
        choice = engine_choice(options)
        try:
            parameters = parameters_of(options, kind=kind)
            if options["queue"]:
                queued = ask_backtest(kind=kind, parameters=parameters, asked_by=user, wall_now=wall_now())
                self._say_queued(queued, options)
                return
            row = plan_backtest(kind=kind, parameters=parameters, asked_by=user, wall_now=wall_now())
        except BadParameter as error:
            line = f"{error.field}: got {error.value}, allowed: {error.allowed}"
            raise CommandError(line, returncode=REFUSED_OPTION) from error
        done = self._perform(row, choice)
        self._tell(done, options, path)

    def _perform(self, row: Backtest, choice: Choice) -> Backtest:
        with _bar() as progress, _interruptible(progress) as tell:
            try:
                with engine_for(choice) as engine:
                    return perform_backtest(
                        backtest=row,
                        models=active_model,
                        clock=wall_now,
                        progress=tell,
                        run=windows_on(engine),
                        evaluate=trials_on(engine),
                    )
            except EngineError as error:
                give_up(backtest=row, state=BacktestState.FAILED, error=str(error), wall_now=wall_now())
                raise CommandError(one_line(error), returncode=REFUSED) from error
            except Cancelled:
                raise CommandError(f"backtest {row.pk} was ended by hand", returncode=CANCELED) from None
            except SignalError as error:
                raise CommandError(one_line(error), returncode=REFUSED) from error

    def _say_queued(self, row: Backtest, options: dict[str, Any]) -> None:
        if options["json"]:
            self.say_json({"id": row.pk, "job": row.job_id, "state": row.state})
        else:
            self.say(f"backtest {row.pk} waits for the process jobs; see /backtests/{row.pk} in the console")

    def _tell(self, row: Backtest, options: dict[str, Any], path: Path | None) -> None:
        document = as_document(row)
        if path is not None:
            tables = {name: read_table(row.key, name).to_dicts() for name in ("days", "orders")}
            path.write_text(json.dumps({**document, **tables}, indent=1, default=str) + "\n")
        if options["json"]:
            self.say_json(document)
            return
        console = self.console()
        console.print(_table(row))
        for line in notes(row):
            self.say(line)
        self.say(f"kept as backtest {row.pk}" + (f", written to {path}" if path is not None else ""))


def as_document(row: Backtest) -> dict[str, Any]:
    """Return a completed backtest for scripts."""
    names = ("id", "kind", "strategy", "state", "parameters", "seed", "metrics", "detail", "model_versions")
    versions = ("code_version", "data_version", "feature_version")
    return {name: getattr(row, name) for name in (*names, *versions)}


def notes(row: Backtest) -> list[str]:
    """Return what a person should know beside the figures, a line each."""
    detail, metrics = row.detail or {}, row.metrics or {}
    lines = []
    if drawn := detail.get("bootstrap"):
        spread = drawn["sharpe"]["quantiles"]
        loss = drawn["chance_of_loss"]
        lines.append(
            f"bootstrap, {drawn['draws']} histories: Sharpe ratio 95% between {spread['0.025']:.2f} and"
            f" {spread['0.975']:.2f}, {loss:.0%} end below the capital"
        )
    if detail.get("best"):
        lines.append(f"best of {len(detail['trials'])} trials: {detail['best']}")
        held = detail.get("held_out") or {}
        lines.append(f"Sharpe ratio: {_ratio(detail['searched'])} where it searched, {_ratio(held)} on the rest")
    if detail.get("deflated_sharpe") is not None:
        lines.append(f"deflated Sharpe ratio: {detail['deflated_sharpe']:.0%} likely to be more than luck")
    if detail.get("windows"):
        up = sum(1 for window in detail["windows"] if window["return"] > 0)
        lines.append(f"{up} of {len(detail['windows'])} windows gained")
    if detail.get("ended_early"):
        lines.append(f"bars end before the range does: {', '.join(detail['ended_early'])}")
    if detail.get("without_bars"):
        lines.append(f"no bars in the range: {', '.join(detail['without_bars'])}")
    if metrics.get("unpriced_notional"):
        lines.append(f"traded without an estimate of the impact: {metrics['unpriced_notional']:,.0f}")
    return lines


def _ratio(measured: dict[str, Any]) -> str:
    value = measured.get("sharpe")
    return "none" if value is None else f"{value:.2f}"


def _table(row: Backtest) -> Table:
    table = Table(title=f"{row.strategy}, {row.start_date} to {row.end_date}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    metrics = row.metrics or {}
    for name in SHOWN:
        figure = BY_NAME[name]
        table.add_row(figure.title, written(metrics.get(name), figure.form))
    return table


@contextmanager
def _bar() -> Iterator[Progress]:
    """Show progress on a terminal's standard error, and nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("beginning", total=None)

        def tell(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total or None, description=what)

        yield tell


@contextmanager
def _interruptible(progress: Progress) -> Iterator[Progress]:
    """Turn Ctrl-C and SIGTERM into a cancel at the next telling, so that the row says how it ended."""
    asked = []

    def ask(number: int, _frame: Any) -> None:
        asked.append(number)
        if len(asked) > 1:
            sys.exit(CANCELED)

    def tell(done: int, total: int, what: str) -> None:
        if asked:
            raise Cancelled
        progress(done, total, what)

    before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield tell
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
