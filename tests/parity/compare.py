"""Two frames of features, cell by cell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from signals.features import FEATURES, alpha158
from tests.parity.exact import FAMILIES, exact

BOUND, BOUND_RSQR = 1e-9, 1e-8
EXACT_BOUND = 1e-11
"""Ours may differ by this from exact arithmetic where Qlib's differs by more than the bound."""
MOST_ROUNDED = 0.02
"""Larger shares of cells with Qlib's rounding would mean that the rule hides something."""
FAMILY = re.compile(r"([A-Z]+)(\d+)$")


def bound(feature: str) -> float:
    """Return the largest difference that is allowed, relative for values beyond one."""
    return BOUND_RSQR if feature.startswith("RSQR") else BOUND


@dataclass(slots=True)
class Verdict:
    """What became of one feature, over all universes."""

    cells: int = 0
    worst: float = 0.0
    where: str = ""
    rounded: int = 0
    """Cells where exact arithmetic agrees with ours and not with Qlib's."""
    wrong: list[str] = field(default_factory=list)

    def holds(self) -> bool:
        return not self.wrong and self.rounded <= MOST_ROUNDED * self.cells


def compare(universe: str, bars: pl.DataFrame, theirs: pl.DataFrame) -> dict[str, Verdict]:
    """Judge each feature of one universe, in the rows that Qlib's values are given for."""
    keys = ["symbol", "date"]
    places = theirs.select(keys).join(bars.select(keys).with_row_index(), on=keys, how="left", maintain_order="left")
    rows = places["index"].to_numpy()
    ours = alpha158(bars)[rows]
    assert ours.select(keys).equals(theirs.select(keys)), f"{universe}: other rows"
    return {feature: _judged(universe, feature, bars, rows, ours[feature], theirs[feature]) for feature in FEATURES}


def _judged(
    universe: str, feature: str, bars: pl.DataFrame, rows: np.ndarray, ours: pl.Series, theirs: pl.Series
) -> Verdict:
    mine, other = ours.to_numpy(), theirs.to_numpy()
    difference = differences(mine, other)
    verdict = Verdict(cells=len(mine))
    beyond = np.flatnonzero(difference > bound(feature))
    for place in beyond.tolist():
        if _is_rounding(feature, bars[: int(rows[place]) + 1], mine[place]):
            verdict.rounded += 1
        else:
            where = _named(universe, bars, rows[place])
            verdict.wrong.append(f"{where}: ours {float(mine[place])}, Qlib's {float(other[place])}")
    difference[beyond] = 0.0
    place = int(difference.argmax())
    verdict.worst, verdict.where = float(difference[place]), _named(universe, bars, rows[place])
    return verdict


def _named(universe: str, bars: pl.DataFrame, row: int) -> str:
    return f"{universe} {bars['symbol'][int(row)]} {bars['date'][int(row)]}"


def differences(mine: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return differences, relative to Qlib's value where that is larger than one; infinite where one alone is NaN."""
    same = (np.isnan(mine) & np.isnan(other)) | (mine == other)
    with np.errstate(invalid="ignore"):
        difference = np.abs(mine - other) / np.maximum(1.0, np.abs(other))
    return np.where(same, 0.0, np.where(np.isfinite(difference), difference, np.inf))


def _is_rounding(feature: str, history: pl.DataFrame, mine: float) -> bool:
    match = FAMILY.match(feature)
    if match is None or match[1] not in FAMILIES:
        return False
    window = int(match[2])
    own = history.tail(window + 1).filter(pl.col("symbol") == history["symbol"][-1])
    truth = exact(match[1], window, own)
    return bool(differences(np.array([mine]), np.array([truth]))[0] <= EXACT_BOUND)


def merged(verdicts: list[Mapping[str, Verdict]]) -> dict[str, Verdict]:
    """Put the verdicts of all universes together."""
    total: dict[str, Verdict] = {feature: Verdict() for feature in FEATURES}
    for by_feature in verdicts:
        for feature, verdict in by_feature.items():
            whole = total[feature]
            whole.cells += verdict.cells
            whole.rounded += verdict.rounded
            whole.wrong += verdict.wrong
            if verdict.worst >= whole.worst:
                whole.worst, whole.where = verdict.worst, verdict.where
    return total
