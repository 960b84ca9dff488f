"""Walk a strategy forward: learn on the past, be judged on what follows, step on."""

from argparse import ArgumentParser
from typing import Any

from ops_console.management.backtest_command import BacktestCommand
from ops_console.management.backtest_options import add_options, add_plan


class Command(BacktestCommand):
    """Refit in windows of trading days."""

    help = (
        "Learn anew in each window of trading days and trade only the sessions after it, with an embargo between:\n"
        "strategies with a model train it, others search the settings of --space, or stay as they are without it.\n"
        "Every session is judged by what was learnt before it; every run is kept and shown on the page Backtests."
    )
    examples = (
        ("--strategy alpha_baseline --from 2004-01-02 --to 2013-02-28", "train a model every 63 sessions"),
        ("--strategy momentum --space top=1:3 --trials 10 --test 252", "choose settings anew each year"),
        ("--strategy alpha_baseline --train 756 --expanding --model num_leaves=31", "longer, growing windows"),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        add_options(parser)
        add_plan(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Compute and tell."""
        self.compute("walk_forward", options)
