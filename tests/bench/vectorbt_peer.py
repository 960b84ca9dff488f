"""vectorbt on the same prices and scores, in an environment of its own; prints JSON. Run by `backtests`, not imported.

Its best way to trade target weights: `Portfolio.from_orders` with target percent, one shared cash, orders called by
value so that sales come first, compiled by numba. The weights are given to it ready made, so only simulating, records
and final value are timed; ours ranks the scores as well.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import vectorbt


def main() -> None:
    """Read `prices.npy` and `weights.npy` from a directory, simulate several times, tell."""
    place, repeats, cost = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    prices = pd.DataFrame(np.load(place / "prices.npy"))
    weights = pd.DataFrame(np.load(place / "weights.npy"))
    seconds, value, orders = [], 0.0, 0
    for _ in range(repeats + 1):
        started = perf_counter()
        portfolio = vectorbt.Portfolio.from_orders(
            prices,
            weights,
            size_type="targetpercent",
            direction="both",
            fees=cost,
            init_cash=1e7,
            cash_sharing=True,
            group_by=True,
            call_seq="auto",
            freq="1D",
        )
        records = portfolio.orders.records
        value, orders = float(portfolio.final_value()), len(records)
        seconds.append(perf_counter() - started)
    answer = {
        "first": seconds[0],
        "warm": seconds[1:],
        "orders": orders,
        "final": value,
        "version": vectorbt.__version__,
    }
    sys.stdout.write(json.dumps(answer) + "\n")


main()
