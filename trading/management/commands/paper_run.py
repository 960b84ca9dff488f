"""Trade through stored bars with the production order path, and print how it went."""

import json
import logging
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from marketdata.clock import wall_now
from marketdata.selectors import coverage
from marketdata.services.sample import import_sample
from risk.selectors import kill_switch_status
from signals.errors import SignalError
from signals.models import ModelVersion
from signals.registry import UnknownModelError
from signals.strategies.registry import strategy_names
from signals.training.fit import MOST_SEED
from trading.errors import ReplayParameterError, RunFailedError
from trading.models import ReplayRun
from trading.replay_report import Line, account_days, as_document, check_identity, result_lines
from trading.services.bootstrap import prepare_installation
from trading.services.replay import DayDone, replay_range, sessions_of
from trading.services.replay_models import Training, prepare_models
from trading.types import ReplayParameters

DEFAULT_FROM = "2011-01-03"
DEFAULT_TO = "2013-03-01"
DEFAULT_TRAIN_FROM = "2004-01-02"
DEFAULT_TRAIN_TO = "2010-12-31"
DEFAULT_SEED = 7
QUIET_LOGGERS = ("trading", "signals", "execution", "risk", "marketdata")
PLAIN_EVERY = 20
PLAIN_WIDTH = 130
COLUMNS = ["orders", "fills", "denied", "realised", "unrealised", "fees", "dividends"]
FIGURES = ["return", "drawdown", "Sharpe", "turnover", "IC", "rank IC", "days"]
MILLION = 1_000_000


class Command(BaseCommand):
    """Parse, replay, tell. An interrupted run of the same options goes on where it stopped."""

    help = (
        "Trade through stored bars: decide on each close, trade at the next open, mark at its close, with the same "
        "orders, risk checks and ledger as the desk. Strategies that score with a model get one that is trained on "
        "the sessions before the first one traded; it is registered as a candidate and is never used by the desk. "
        "The same options again resume an interrupted run; a finished one is run anew on an account of its own. "
        "Exit code 0 when every day completed and the books balance."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the options; defaults come from the environment."""
        parser.add_argument(
            "--from", dest="start", default=DEFAULT_FROM, metavar="DATE", help="first session (%(default)s)"
        )
        parser.add_argument("--to", dest="end", default=DEFAULT_TO, metavar="DATE", help="last session (%(default)s)")
        parser.add_argument("--strategy", nargs="+", action="extend", metavar="NAME", help="default: all of them")
        parser.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="default: PAPER_RUN_SYMBOLS")
        parser.add_argument("--capital", metavar="N", help="account currency; default: PAPER_RUN_CAPITAL")
        parser.add_argument("--max-position-size", metavar="N", help="shares; default: PAPER_RUN_MAX_POSITION_SIZE")
        parser.add_argument(
            "--train-from", default=DEFAULT_TRAIN_FROM, metavar="DATE", help="first session to train on (%(default)s)"
        )
        parser.add_argument(
            "--train-to",
            metavar="DATE",
            help=f"last session to train on; default: {DEFAULT_TRAIN_TO}, or the one before --from if that is earlier",
        )
        parser.add_argument("--seed", type=int, default=DEFAULT_SEED, metavar="N", help="of the training (%(default)s)")
        parser.add_argument(
            "--model", type=int, nargs="+", default=[], metavar="ID", help="use stored model versions, train none"
        )
        parser.add_argument("--dry-run", action="store_true", help="store what would be sent, send nothing")
        parser.add_argument("--fresh", action="store_true", help="do not go on with an interrupted run")
        parser.add_argument("--output", metavar="FILE", help="write days, orders and results as JSON")
        parser.add_argument("--verbose", action="store_true", help="log every event and print every day")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, print, and fail when something did not add up."""
        width = None if sys.stdout.isatty() else PLAIN_WIDTH
        self.console = Console(file=self.stdout, highlight=False, width=width)  # type: ignore[arg-type]
        self.verbose: bool = options["verbose"]
        if not self.verbose:
            for name in QUIET_LOGGERS:
                logging.getLogger(name).setLevel(logging.WARNING)
        output = _output_path(options["output"])
        self._prepare()
        started = perf_counter_ns()
        parameters = self._with_models(_parameters(options), options)
        row, timings = self._replay(parameters, fresh=options["fresh"])
        self._tell(row, parameters, timings, perf_counter_ns() - started, output)

    def _prepare(self) -> None:
        prepare_installation(wall_now=wall_now())
        if coverage().is_empty():
            self.stdout.write("importing the sample bars")
            import_sample(wall_now=wall_now())
        engaged = [status for status in kill_switch_status() if status.engaged and status.scope == "global"]
        if engaged:
            raise CommandError(
                f"the kill switch is engaged ({engaged[0].reason}): nothing would be traded", returncode=3
            )

    def _with_models(self, parameters: ReplayParameters, options: dict[str, Any]) -> ReplayParameters:
        """Train what the strategies score with, and say what came of it."""
        try:
            sessions_of(parameters)
            prepared = prepare_models(
                parameters=parameters,
                training=_training(parameters, options),
                required=bool(options["strategy"]),
                wall_now=wall_now(),
            )
        except ReplayParameterError as error:
            raise CommandError(str(error), returncode=2) from error
        except UnknownModelError as error:
            raise CommandError(f"--model: {error}", returncode=2) from error
        except SignalError as error:
            raise CommandError(str(error)) from error
        for version in prepared.versions.values():
            self.stdout.write(_model_line(version))
        for name, reason in prepared.left_out.items():
            self.stdout.write(f"{name} is left out: {reason}")
        return prepared.parameters

    def _replay(self, parameters: ReplayParameters, *, fresh: bool) -> tuple[ReplayRun, list[int]]:
        timings: list[int] = []
        with self._progress() as (on_start, on_day):

            def done(day: DayDone) -> None:
                timings.append(day.nanoseconds)
                on_day(day)

            try:
                row = replay_range(
                    parameters=parameters, wall_clock=wall_now, fresh=fresh, on_start=on_start, on_day=done
                )
            except ReplayParameterError as error:
                raise CommandError(str(error), returncode=2) from error
            except RunFailedError as error:
                raise CommandError(f"{error}; start the command again to go on there") from error
        return row, timings

    @contextmanager
    def _progress(self) -> Iterator[Any]:
        """Yield what is called at the start and after each day: a bar on a terminal, lines elsewhere."""
        if self.verbose or not sys.stdout.isatty():
            yield self._announce, self._plain_day
            return
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[day]}"), TimeElapsedColumn())
        with Progress(TextColumn("trading"), *columns, TimeRemainingColumn(), console=Console()) as progress:
            task = progress.add_task("trading", day="")

            def start(row: ReplayRun, remaining: Sequence[date]) -> None:
                self._announce(row, remaining)
                progress.update(task, total=len(remaining))

            yield start, lambda day: progress.update(task, advance=1, day=day.day.isoformat())

    def _announce(self, row: ReplayRun, remaining: Sequence[date]) -> None:
        if row.stage_date is not None and remaining:
            after = row.last_completed_date
            where = f"resuming after {after}" if after is not None else "resuming its first day"
            self.stdout.write(f"{where}, {len(remaining)} sessions to go, account {row.account.name}")
        else:
            self.stdout.write(f"account {row.account.name}: {len(remaining)} sessions")

    def _plain_day(self, day: DayDone) -> None:
        if self.verbose or day.number % PLAIN_EVERY == 0 or day.number == day.total:
            self.stdout.write(f"{day.day} done, {day.number} of {day.total}, {day.nanoseconds // MILLION} ms")

    def _tell(
        self,
        row: ReplayRun,
        parameters: ReplayParameters,
        timings: list[int],
        elapsed: int,
        output: Path | None,
    ) -> None:
        days = account_days(row)
        lines = result_lines(row, parameters, days)
        identity = check_identity(row.account, days)
        for table in _tables(lines, row):
            self.console.print(table)
        self.stdout.write(identity.sentence)
        self.stdout.write(_timing_line(timings, elapsed))
        if output is not None:
            document = as_document(row, lines, days, identity)
            document["timing"] = {"days": len(timings), "total_ms": elapsed // MILLION, **_percentiles(timings)}
            output.write_text(json.dumps(document, indent=1) + "\n")
            self.stdout.write(f"written to {output}")
        if not identity.holds:
            raise CommandError("the books do not balance")


def _parameters(options: dict[str, Any]) -> ReplayParameters:
    names = dict.fromkeys(options["strategy"] or strategy_names())
    symbols = dict.fromkeys(symbol.upper() for symbol in options["symbols"] or settings.PAPER_RUN_SYMBOLS)
    capital, largest = options["capital"], options["max_position_size"]
    return ReplayParameters(
        start=_date("--from", options["start"]),
        end=_date("--to", options["end"]),
        strategies=tuple(sorted(names)),
        symbols=tuple(sorted(symbols)),
        capital=_decimal("--capital", settings.PAPER_RUN_CAPITAL if capital is None else capital),
        max_position_size=_decimal(
            "--max-position-size", settings.PAPER_RUN_MAX_POSITION_SIZE if largest is None else largest
        ),
        dry_run=options["dry_run"],
    )


def _training(parameters: ReplayParameters, options: dict[str, Any]) -> Training:
    asked = options["train_to"]
    last = _date("--train-to", asked or DEFAULT_TRAIN_TO)
    if asked and last >= parameters.start:
        raise CommandError(f"--train-to: got {asked!r}, allowed: a date before --from {parameters.start}", returncode=2)
    if not 0 <= options["seed"] <= MOST_SEED:
        raise CommandError(
            f"--seed: got {options['seed']}, allowed: a whole number from 0 to {MOST_SEED}", returncode=2
        )
    return Training(
        first=_date("--train-from", options["train_from"]),
        last=last,
        seed=options["seed"],
        chosen=tuple(dict.fromkeys(options["model"])),
    )


def _model_line(version: ModelVersion) -> str:
    rank_ic = {split: version.metrics[split]["rank_ic"]["mean"] for split in ("valid", "test")}
    told = ", ".join(f"{split} {'none' if value is None else f'{value:.4f}'}" for split, value in rank_ic.items())
    return (
        f"model {version} ({version.sha256[:12]}): {version.rounds} trees from {version.splits['train']['rows']} rows"
        f" of {len(version.symbols)} symbols, {version.first_date} to {version.last_date}; rank IC {told}"
    )


def _date(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{name}: got {text!r}, allowed: a date such as 2012-01-03", returncode=2) from None


def _decimal(name: str, text: object) -> Decimal:
    try:
        return Decimal(str(text))
    except InvalidOperation:
        raise CommandError(f"{name}: got {text!r}, allowed: a number", returncode=2) from None


def _output_path(text: str | None) -> Path | None:
    if text is None:
        return None
    path = Path(text)
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise CommandError(f"--output: got {text!r}, allowed: a file in a folder that exists", returncode=2)
    return path


def _tables(lines: Sequence[Line], row: ReplayRun) -> list[Table]:
    """Return what was traded, and how well."""
    traded = Table(title=f"{row.account.name}, {row.start_date} to {row.end_date}")
    judged = Table(
        caption="turnover: bought and sold a session ÷ average equity · IC: scores against the return from the next"
        " close to the one after, mean of the days"
    )
    for table, columns in ((traded, COLUMNS), (judged, FIGURES)):
        table.add_column("", no_wrap=True)
        for name in columns:
            table.add_column(name, justify="right")
    for line in lines:
        judged.add_row(line.name, *_figures(line))
        if line.orders is None:
            continue
        counts = ["" if count is None else str(count) for count in (line.orders, line.fills, line.denied)]
        money = [
            "" if amount is None else f"{amount:,.2f}"
            for amount in (line.realized, line.unrealized, line.fees, line.dividends)
        ]
        traded.add_row(line.name, *counts, *money)
    return [traded, judged]


def _figures(line: Line) -> list[str]:
    numbers, skill = line.performance, line.skill
    return [
        f"{numbers.total_return:.2%}",
        f"{numbers.max_drawdown:.2%}",
        "" if numbers.sharpe is None else f"{numbers.sharpe:.2f}",
        "" if line.turnover is None else f"{line.turnover:.2%}",
        "" if skill.ic is None else f"{skill.ic:.4f}",
        "" if skill.rank_ic is None else f"{skill.rank_ic:.4f}",
        str(skill.days) if skill.days else "",
    ]


def _percentiles(timings: Sequence[int]) -> dict[str, int]:
    ordered = sorted(timings)
    if not ordered:
        return {"median_ms": 0, "p99_ms": 0}
    last = len(ordered) - 1
    return {"median_ms": ordered[last // 2] // MILLION, "p99_ms": ordered[last * 99 // 100] // MILLION}


def _timing_line(timings: Sequence[int], elapsed: int) -> str:
    numbers = _percentiles(timings)
    total = Decimal(elapsed) / (1000 * MILLION)
    a_day = f"median {numbers['median_ms']} ms, p99 {numbers['p99_ms']} ms a day"
    return f"{len(timings)} trading days in {total:.1f} s: {a_day}"
