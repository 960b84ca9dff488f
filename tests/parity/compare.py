"""Two frames of features, cell by cell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from signals.features import FEATURES
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


def compare(universe: str, bars: pl.DataFrame, ours: pl.DataFrame, theirs: pl.DataFrame) -> dict[str, Verdict]:
    """Judge each feature of one universe."""
    assert ours.select("symbol", "date").equals(theirs.select("symbol", "date")), f"{universe}: other rows"
    firsts = dict(bars.with_row_index().group_by("symbol").agg(pl.col("index").min()).rows())
    found = {}
    for feature in FEATURES:
        mine, other = ours[feature].to_numpy(), theirs[feature].to_numpy()
        difference = differences(mine, other)
        beyond = np.flatnonzero(difference > bound(feature))
        verdict = found[feature] = Verdict(cells=len(mine))
        for row in beyond.tolist():
            symbol, day = bars["symbol"][row], bars["date"][row]
            if _is_rounding(feature, bars[firsts[symbol] : row + 1], mine[row]):
                verdict.rounded += 1
            else:
                verdict.wrong.append(f"{universe} {symbol} {day}: ours {mine[row]!r}, Qlib's {other[row]!r}")
        difference[beyond] = 0.0
        row = int(difference.argmax())
        verdict.worst, verdict.where = float(difference[row]), f"{universe} {bars['symbol'][row]} {bars['date'][row]}"
    return found


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
    truth = exact(match[1], window, history.tail(window + 1))
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
