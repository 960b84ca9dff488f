"""Backtest a strategy over stored bars."""

from argparse import ArgumentParser
from typing import Any

from ops_console.management.backtest_command import BacktestCommand
from ops_console.management.backtest_options import add_options


class Command(BacktestCommand):
    """A backtest, or with `--space` a search for the best settings."""

    help = (
        "Trade a strategy's decisions over stored bars in memory, with commission, half spread, impact, borrow and\n"
        "delay: each decision knows the bars up to its close and trades on a later session. With --space it searches\n"
        "settings on the first part of the range and judges the best on the rest. Nothing touches the book; every run\n"
        "is kept and shown on the page Backtests."
    )
    examples = (
        ("--strategy momentum --from 2005-01-03 --to 2013-02-28", "one run, figures beside buy and hold"),
        ("--strategy momentum --set top=1 --fill open --impact 0", "other settings, filled at the open as on the desk"),
        ("--strategy momentum --space top=1:3 formation_sessions=60:252 --trials 40", "search settings, seeded"),
        ("--strategy mean_reversion --json --output run.json", "for scripts, with days and orders in a file"),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        add_options(parser)
        parser.add_argument("--holdout", type=float, metavar="N", help="share of the range a search never sees (0.3)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compute and tell."""
        self.compute("search" if options["space"] else "backtest", options)
