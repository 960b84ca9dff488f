"""Compute Alpha158 with Qlib itself; runs in the environment of requirements-parity.txt, which has none of our code.

    python qlib_values.py FOLDER

reads NAME.bars.parquet and writes NAME.values.parquet.

Qlib's own field list, parser, operators and Cython loops do the work. Its files on disk and its data set interface hold
single precision, which makes and breaks ties; so bars are handed to its expressions in memory, as the doubles they are.
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from qlib.config import C
from qlib.contrib.data.handler import Alpha158
from qlib.data.cache import H
from qlib.data.data import FeatureD, LocalExpressionProvider
from qlib.data.ops import register_all_ops

FIELDS = ("open", "high", "low", "close", "volume", "vwap")


class FramesInMemory:
    """Qlib's source of features: float64 columns of one symbol after the other."""

    frame: pd.DataFrame

    def feature(self, instrument: str, field: str, start_index: int, end_index: int, freq: str) -> pd.Series:
        del instrument, freq
        return pd.Series(self.frame[field.removeprefix("$")].to_numpy()[start_index : end_index + 1])


def prepared() -> tuple[FramesInMemory, dict[str, Any]]:
    """Set up Qlib's operators on frames in memory, and parse its list of fields."""
    register_all_ops(C)
    source = FramesInMemory()
    FeatureD.register(source)
    fields, names = Alpha158.get_feature_config(None)
    parser = LocalExpressionProvider()
    return source, {name: parser.get_expression_instance(field) for field, name in zip(fields, names, strict=True)}


def values(source: FramesInMemory, expressions: dict[str, Any], symbol: str, bars: pd.DataFrame) -> pd.DataFrame:
    """Return the features of one symbol's rows."""
    source.frame = bars
    H["f"].clear()  # its cache is by symbol, and rows of another universe may bear the same one
    last = len(bars) - 1
    return pd.DataFrame(
        {name: np.asarray(expression.load(symbol, 0, last, "day"), float) for name, expression in expressions.items()}
    )


def compute(source: FramesInMemory, expressions: dict[str, Any], bars: pd.DataFrame) -> pd.DataFrame:
    """Return the features of all symbols of a universe."""
    if "vwap" not in bars.columns:
        bars["vwap"] = (bars["high"] + bars["low"] + bars["close"]) / 3
    parts = []
    for symbol, group in bars.groupby("symbol", sort=False):
        rows = group.reset_index(drop=True)
        parts.append(pd.concat([rows[["symbol", "date"]], values(source, expressions, str(symbol), rows)], axis=1))
    return pd.concat(parts, ignore_index=True)


def main() -> int:
    """Read each universe of a folder, write Qlib's values beside it, say which versions computed them."""
    source, expressions = prepared()
    for path in sorted(Path(sys.argv[1]).glob("*.bars.parquet")):
        with np.errstate(all="ignore"):
            found = compute(source, expressions, pd.read_parquet(path))
        found.to_parquet(path.with_name(path.name.replace(".bars.", ".values.")), index=False)
    sys.stdout.write(", ".join(f"{name} {version(name)}" for name in ("pyqlib", "pandas", "numpy")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
