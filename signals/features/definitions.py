"""The 158 features of Qlib's Alpha158, each family one Polars expression.

Source: `qlib.contrib.data.loader.Alpha158DL` of pyqlib 0.9.7, whose names and order these are. What a window holds
comes as columns from `signals.features.statistics`; `window` is its length in rows. Missing is
NaN throughout, never null.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from signals.features.windows import WINDOWS

EPSILON: Final = 1e-12
"""Qlib's guard against a division by zero; with a zero volume or a flat day it decides the value."""


def greater(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    """Return the larger of two, NaN where either is: in Polars' comparisons NaN is the largest number."""
    return pl.when(left > right).then(left).otherwise(right)


def less(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    """Return the smaller of two, NaN where either is."""
    return -greater(-left, -right)


_open, _high, _low, _close = (pl.col(name) for name in ("open", "high", "low", "close"))
_volume, _vwap, _window = pl.col("volume"), pl.col("vwap"), pl.col("window")
_range = _high - _low + EPSILON
_volume_guarded = _volume + EPSILON


def _statistic(name: str) -> pl.Expr:
    return pl.col(name)


DAY: Final[Mapping[str, pl.Expr]] = {
    "KMID": (_close - _open) / _open,
    "KLEN": (_high - _low) / _open,
    "KMID2": (_close - _open) / _range,
    "KUP": (_high - greater(_open, _close)) / _open,
    "KUP2": (_high - greater(_open, _close)) / _range,
    "KLOW": (less(_open, _close) - _low) / _open,
    "KLOW2": (less(_open, _close) - _low) / _range,
    "KSFT": (2 * _close - _high - _low) / _open,
    "KSFT2": (2 * _close - _high - _low) / _range,
    "OPEN0": _open / _close,
    "HIGH0": _high / _close,
    "LOW0": _low / _close,
    "VWAP0": _vwap / _close,
}
"""Of one day alone: the shape of the candle, and prices in units of the close."""

_up, _down = _statistic("rise"), _statistic("fall")
_moved = _statistic("moved") + EPSILON
_volume_up, _volume_down = _statistic("volume_rise"), _statistic("volume_fall")
_volume_moved = _statistic("volume_moved") + EPSILON

ROLLING: Final[Mapping[str, pl.Expr]] = {
    "ROC": _statistic("close_before") / _close,
    "MA": _statistic("mean") / _close,
    "STD": _statistic("std") / _close,
    "BETA": _statistic("slope") / _close,
    "RSQR": _statistic("rsquare"),
    "RESI": _statistic("residual") / _close,
    "MAX": _statistic("highest") / _close,
    "MIN": _statistic("lowest") / _close,
    "QTLU": _statistic("quantile_80") / _close,
    "QTLD": _statistic("quantile_20") / _close,
    "RANK": _statistic("rank"),
    "RSV": (_close - _statistic("lowest")) / (_statistic("highest") - _statistic("lowest") + EPSILON),
    "IMAX": _statistic("highest_at") / _window,
    "IMIN": _statistic("lowest_at") / _window,
    "IMXD": (_statistic("highest_at") - _statistic("lowest_at")) / _window,
    "CORR": _statistic("correlation"),
    "CORD": _statistic("correlation_of_changes"),
    "CNTP": _statistic("share_up"),
    "CNTN": _statistic("share_down"),
    "CNTD": _statistic("share_up") - _statistic("share_down"),
    "SUMP": _up / _moved,
    "SUMN": _down / _moved,
    "SUMD": (_up - _down) / _moved,
    "VMA": _statistic("volume_mean") / _volume_guarded,
    "VSTD": _statistic("volume_std") / _volume_guarded,
    "WVMA": _statistic("weighted_std") / (_statistic("weighted_mean") + EPSILON),
    "VSUMP": _volume_up / _volume_moved,
    "VSUMN": _volume_down / _volume_moved,
    "VSUMD": (_volume_up - _volume_down) / _volume_moved,
}
"""Of the last rows up to and with the day, for each length in WINDOWS."""

FEATURES: Final[tuple[str, ...]] = (*DAY, *(f"{family}{window}" for family in ROLLING for window in WINDOWS))
LOOKBACK: Final = max(WINDOWS) + 1
"""Rows of a symbol that its newest row of features needs: the longest window, and the row before it for changes."""
