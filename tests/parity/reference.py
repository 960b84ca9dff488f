"""A small part of Qlib's values, stored for the tests that run without Qlib."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

FOLDER = Path(__file__).resolve().parents[1] / "signals" / "features" / "reference"
BARS, VALUES, README = FOLDER / "bars.parquet", FOLDER / "qlib.parquet", FOLDER / "README.md"
# Universe, symbols of it, rows of each, and which of them are kept: the first ones and then some.
PARTS = {
    "gaps": 100,
    "missing values": 110,
    "no volume": 100,
    "constant": 110,
    "ties": 100,
    "splits": 110,
    "sample": 90,
}
SHORT = ("L01", "L06")
KEPT_PER_SYMBOL = 21


def write(bars: Mapping[str, pl.DataFrame], theirs: Mapping[str, pl.DataFrame], made_by: str) -> Path:
    """Write the first rows of one symbol of each universe, and Qlib's values of some of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows, values = [], []
    for universe, count in PARTS.items():
        symbol = bars[universe]["symbol"][0]
        rows.append(bars[universe].filter(pl.col("symbol") == symbol).head(count))
        first = theirs[universe].filter(pl.col("symbol") == symbol).head(count)
        values.append(first[[*range(4), *range(7, count - 1, (count - 8) // (KEPT_PER_SYMBOL - 6)), count - 1]])
    rows.append(bars["short"].filter(pl.col("symbol").is_in(SHORT)))
    values.append(theirs["short"].filter(pl.col("symbol").is_in(SHORT)))
    pl.concat(rows).sort("symbol", "date").write_parquet(BARS, compression="zstd", compression_level=19)
    pl.concat(values).sort("symbol", "date").write_parquet(VALUES, compression="zstd", compression_level=19)
    README.write_text(
        "# Values of Qlib\n\n"
        "`qlib.parquet` holds Alpha158 as Qlib computes it from `bars.parquet`, some rows of each symbol: its own\n"
        "list of fields, parser and operators, on float64. Both were written by `make parity ARGS=--write-reference`\n"
        f"from the universes of `tests/parity/universes.py`, with {made_by}.\n"
        "`tests/signals/features/test_reference.py` reads them.\n"
    )
    return FOLDER
