"""Train a model and register it as a candidate."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import IO, Any, cast

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

from marketdata.clock import wall_now
from marketdata.models import Instrument
from ops_console.management.operator_command import DONE, REFUSED, UNKNOWN, OperatorCommand, operating_system_user
from signals.engine import EngineError, engine_for
from signals.engine.choice import add_engine_options, chosen
from signals.models import ModelVersion
from signals.progress import Progress
from signals.training.parameters import QLIB_PARAMETERS, checked
from signals.training.pipeline import TrainingRequest, train_strategy, trainable
from trading.services.jobs import ask

INTERRUPTED = 130


class Command(OperatorCommand):
    """Train on stored bars: features, labels by day, train, valid and test with an embargo, LightGBM, registry."""

    help = (
        "Train a strategy's model on stored bars and register it as a candidate. It does not trade before somebody\n"
        "has activated it (`models activate`). The same data, code, parameters and seed give the same bytes, and then\n"
        "the version that is there already. Parameters that are not given are Qlib's, its penalties in proportion to\n"
        "the rows."
    )
    examples = (
        ("--from 2004-01-02 --to 2010-12-31", "alpha_baseline on every symbol with bars"),
        ("--symbols AAPL IBM MSFT --from 2004-01-02 --to 2010-12-31 --seed 11 --json", "three names, another seed"),
        ("--from 2004-01-02 --to 2010-12-31 --set num_leaves=63 --set learning_rate=0.05", "other parameters"),
        ("--from 2004-01-02 --to 2010-12-31 --job", "as a job: the process `jobs` does it, the jobs page shows it"),
    )
    exit_codes = {
        DONE: "registered, or asked for with --job",
        REFUSED: "refused, the line says why; nothing was registered",
        UNKNOWN: "the database does not answer",
        INTERRUPTED: "interrupted; nothing was registered",
    }

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        known = ", ".join(QLIB_PARAMETERS)
        parser.add_argument("--strategy", default="alpha_baseline", choices=trainable(), help="default: alpha_baseline")
        parser.add_argument("--from", dest="start", type=_day, required=True, metavar="DATE", help="first session")
        parser.add_argument("--to", dest="end", type=_day, required=True, metavar="DATE", help="last session")
        parser.add_argument("--symbols", nargs="+", type=str.upper, metavar="SYMBOL", help="default: all instruments")
        parser.add_argument("--seed", type=int, default=7, help="default: 7")
        parser.add_argument("--valid", type=float, default=0.15, metavar="SHARE", help="of the sessions (0.15)")
        parser.add_argument("--test", type=float, default=0.15, metavar="SHARE", help="of the sessions (0.15)")
        parser.add_argument("--embargo", type=int, default=5, metavar="N", help="sessions between two splits (5)")
        parser.add_argument("--threads", type=int, default=0, metavar="N", help="0: all cores; changes no byte")
        parser.add_argument(
            "--set", dest="parameters", action="append", default=[], metavar="NAME=VALUE", help=f"one of {known}, …"
        )
        parser.add_argument("--job", action="store_true", help="let the process `jobs` do it and return at once")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
        add_engine_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Train here, or ask for a job."""
        request = TrainingRequest.read(_asked(options))
        if options["job"]:
            job = ask("train", request.as_json(), asked_by=operating_system_user(), now=wall_now())
            answer = {"job": job.pk, "state": job.state}
            self.say_json(answer) if options["json"] else self.say(f"job {job.pk} waits for the process `jobs`")
            return
        try:
            with self._progress(hidden=options["json"]) as progress, engine_for(chosen(options)) as engine:
                version = train_strategy(
                    request,
                    created_by=operating_system_user(),
                    now=wall_now(),
                    on_progress=progress,
                    engine=engine,
                )
        except EngineError as error:
            raise CommandError(f"{error}; nothing was registered", returncode=REFUSED) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted: nothing was registered", returncode=INTERRUPTED) from None
        if options["json"]:
            self.say_json(told(version))
        else:
            self._show(version)

    @contextmanager
    def _progress(self, *, hidden: bool) -> Iterator[Progress]:
        console = Console(file=cast(IO[str], self.stderr))
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        silent = hidden or not self.stderr.isatty()
        with ProgressBar(*columns, console=console, disable=silent, transient=True) as bar:
            task = bar.add_task("training", total=None)

            def advance(done: int, total: int, what: str) -> None:
                bar.update(task, completed=done, total=total or None, description=what)

            yield advance

    def _show(self, version: ModelVersion) -> None:
        self.say(f"{version} ({version.status}), id {version.pk}: {version.rounds} trees, {version.size_bytes:,} bytes")
        table = Table("split", "rows", "days", "IC", "rank IC", "ICIR", "top − bottom Sharpe", "turnover")
        for name, row in version.metrics.items():
            table.add_row(
                name,
                f"{row['rows']:,}",
                str(row["rank_ic"]["days"]),
                number(row["ic"]["mean"], 4),
                number(row["rank_ic"]["mean"], 4),
                number(row["rank_ic"]["icir"], 3),
                number(row["top_minus_bottom"]["sharpe"], 2),
                number(row["turnover"]["mean"], 2),
            )
        self.console().print(table)
        best = sorted(version.importance, key=lambda name: -version.importance[name]["gain"])[:5]
        self.say(f"most gain: {', '.join(best)}")
        self.say(f"activate it with: manage.py models activate {version.pk} --reason …")


def told(version: ModelVersion) -> dict[str, Any]:
    """Return a version as this command and `models` write it in JSON."""
    names = (
        "id", "strategy", "number", "status", "sha256", "size_bytes", "rounds", "seed", "symbols", "first_date",
        "last_date", "splits", "feature_version", "code_version", "data_hash", "parameters", "metrics", "created_by",
        "created_at",
    )  # fmt: skip
    return {name: getattr(version, name) for name in names} | {"signed": bool(version.signature)}


def number(value: float | None, digits: int) -> str:
    """Return a figure for a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def _asked(options: dict[str, Any]) -> dict[str, Any]:
    symbols = options["symbols"] or list(Instrument.objects.order_by("symbol").values_list("symbol", flat=True))
    if not symbols:
        raise CommandError("there are no instruments yet: import bars first (`import_sample`, `import_bars`)")
    return {
        "strategy": options["strategy"],
        "symbols": symbols,
        "start": options["start"].isoformat(),
        "end": options["end"].isoformat(),
        "seed": options["seed"],
        "valid_share": options["valid"],
        "test_share": options["test"],
        "embargo": options["embargo"],
        "threads": options["threads"],
        "parameters": dict(_parameter(text) for text in options["parameters"]),
    }


def _parameter(text: str) -> tuple[str, float | int]:
    name, equals, value = text.partition("=")
    kinds = {key: type(default) for key, default in checked({}).items()}
    if not equals or name not in kinds:
        raise CommandError(f"--set: got {text!r}, allowed is NAME=VALUE with one of {', '.join(kinds)}")
    try:
        return name, kinds[name](value)
    except ValueError:
        raise CommandError(f"--set {name}: got {value!r}, a number is needed") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a date like 2020-01-31 is") from None
