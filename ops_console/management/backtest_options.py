"""The options that `backtest` and `walk_forward` share, and what they are as parameters."""

from argparse import ArgumentParser
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from marketdata.selectors import coverage
from ops_console.backtest_words import assigned, ranges
from signals.engine import Choice, EngineError
from signals.engine.choice import add_engine_options, chosen

REFUSED_OPTION = 2
YEARS_BACK = 5
NUMBERS = (
    ("--capital", "account currency", 1e6),
    ("--invested", "share of the equity that targets are made of", 1.0),
    ("--commission-bps", "commission, basis points of the notional", 0.5),
    ("--half-spread-bps", "half the spread, basis points of the notional", 2.0),
    ("--impact", "Y of the square-root law of impact; 0 for none", 1.0),
    ("--borrow-bps", "stock loan, basis points a year of what is short", 50.0),
    ("--max-participation", "largest order as a share of the average daily volume", None),
    ("--delisting-return", "what a name that is gone returns when it is settled", 0.0),
)
WHOLE = (
    ("--delay", "sessions between the close that decides and the trade", 1),
    ("--settle-after", "sessions without a price after which a name is settled", None),
    ("--seed", "of everything random", 0),
    ("--draws", "histories of the bootstrap; 0 for none", 1000),
)
PLAN = (
    ("--train", "sessions to learn from", 504),
    ("--valid", "sessions to stop a training by", 126),
    ("--test", "sessions between two refits, on which it is judged", 63),
    ("--embargo", "sessions left out between them", 5),
)


def add_options(parser: ArgumentParser) -> None:
    """Declare what both commands know."""
    parser.add_argument("--strategy", default="momentum", metavar="NAME", help="which one (default: momentum)")
    parser.add_argument("--from", dest="start", metavar="DATE", help="first session (default: five years before --to)")
    parser.add_argument("--to", dest="end", metavar="DATE", help="last session (default: the newest stored bar's)")
    parser.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="default: every symbol with bars")
    parser.add_argument("--fill", choices=("close", "open"), help="price of the session at which orders trade (close)")
    for name, text, default in NUMBERS:
        parser.add_argument(name, type=float, metavar="N", help=_with_default(text, default))
    for name, text, default in WHOLE:
        parser.add_argument(name, type=int, metavar="N", help=_with_default(text, default))
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the strategy")
    parser.add_argument(
        "--space", nargs="+", default=[], metavar="NAME=LOW:HIGH", help="settings to search, or NAME=a,b,c to choose"
    )
    parser.add_argument("--trials", type=int, metavar="N", help="sets of settings a search tries (30)")
    parser.add_argument("--batch", type=int, metavar="N", help="sets chosen before any of them is judged (1)")
    parser.add_argument("--objective", metavar="NAME", help="sharpe, sortino, calmar or total_return (sharpe)")
    parser.add_argument("--title", metavar="TEXT", help="to find it again in the console")
    parser.add_argument("--queue", action="store_true", help="leave it to the process jobs and come back at once")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write figures, days and orders as JSON")
    add_engine_options(parser)


def engine_choice(options: dict[str, Any]) -> Choice:
    """Return where it is to be computed.

    :raises CommandError: the options contradict each other, or it is left to the jobs, which use the settings' engine
    """
    try:
        choice = chosen(options)
    except EngineError as error:
        raise CommandError(f"--{error}", returncode=REFUSED_OPTION) from error
    if options["queue"] and options["engine"] is not None:
        raise CommandError(
            "--engine: not with --queue, the process jobs computes where ENGINE says", returncode=REFUSED_OPTION
        )
    return choice


def add_plan(parser: ArgumentParser) -> None:
    """Declare the windows of a walk forward."""
    for name, text, default in PLAN:
        parser.add_argument(name, type=int, metavar="N", help=_with_default(text, default))
    parser.add_argument("--expanding", action="store_true", help="keep the first session for ever (default: rolling)")
    parser.add_argument(
        "--model", nargs="+", default=[], metavar="NAME=VALUE", help="parameters of the training, e.g. num_leaves=31"
    )


def parameters_of(options: dict[str, Any], *, kind: str) -> dict[str, Any]:
    """Return the parameters a person has given; what was left out has its default elsewhere.

    :raises BadParameter: an option cannot be read
    :raises CommandError: there are no bars to choose a range from
    """
    start, end = _range(options["start"], options["end"])
    names = [name for name, _, _ in (*NUMBERS, *WHOLE)] + ["--symbols", "--fill", "--title"]
    found: dict[str, Any] = {"strategy": options["strategy"], "start": start, "end": end}
    if kind == "walk_forward":
        names += [name for name, _, _ in PLAN]
        found |= {"expanding": options["expanding"], "model": assigned("--model", options["model"])}
    if kind != "backtest":
        names += ["--trials", "--batch", "--objective", *(["--holdout"] if kind == "search" else [])]
        found["space"] = ranges("--space", options["space"])
    found["settings"] = assigned("--set", options["set"])
    for name in names:
        key = name.removeprefix("--").replace("-", "_")
        if options.get(key) is not None:
            found[key] = options[key]
    return found


def output_path(path: Path | None) -> Path | None:
    """Return where to write.

    :raises CommandError: no file can be there
    """
    if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
        raise CommandError(
            f"--output: got {str(path)!r}, allowed: a file in a folder that exists", returncode=REFUSED_OPTION
        )
    return path


def _range(start: str | None, end: str | None) -> tuple[str, str]:
    if start is not None and end is not None:
        return start, end
    stored = coverage()
    if stored.is_empty():
        raise CommandError("no bars are stored yet: manage.py import_sample brings some in", returncode=REFUSED_OPTION)
    last = end or str(stored["last"].max())
    try:
        back = date.fromisoformat(last) - timedelta(days=365 * YEARS_BACK)
    except ValueError:
        raise CommandError(
            f"--to: got {last!r}, allowed: a date such as 2012-01-03", returncode=REFUSED_OPTION
        ) from None
    return start or back.isoformat(), last


def _with_default(text: str, default: object) -> str:
    return f"{text} (default: {default:g})" if isinstance(default, (int, float)) else text
