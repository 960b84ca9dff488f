"""Parameters of a training: Qlib's as defaults, bounds on everything, and what makes the bytes repeatable."""

from collections.abc import Mapping
from typing import Any

from signals.parameters import Parameters

QLIB_PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.2,
    "feature_fraction": 0.8879,
    "bagging_fraction": 0.8789,
    "lambda_l1": 205.6999,
    "lambda_l2": 580.9768,
    "max_depth": 8,
    "num_leaves": 210,
    "num_boost_round": 1000,
    "early_stopping_rounds": 50,
}
"""Qlib, `examples/benchmarks/LightGBM/workflow_config_lightgbm_Alpha158.yaml`. It names no bagging frequency, so its
`subsample` has no effect in LightGBM; it is kept, and has none here either."""
QLIB_ROWS = 500_000
"""Rows Qlib's numbers were found on: CSI 300, 2008 to 2014."""

# Set for every training and not to be chosen: the loss of the label, and what makes two trainings alike.
FIXED: dict[str, Any] = {
    "objective": "regression",
    "metric": "l2",
    "boosting": "gbdt",
    "device_type": "cpu",
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "verbosity": -1,
}
MOST_THREADS = 256


def parameters_for(rows: int, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a full set of parameters: the given ones, and Qlib's for the rest.

    The penalties λ1 and λ2 stand against sums over the rows of a leaf. Qlib's were found on 500,000 rows; on a
    thousandth of them no leaf could ever pay them, and every name would get the same score. So with fewer rows they
    shrink in proportion, the same strength for a row; with more they stay as they are.
    :raises BadParameter: an unknown name, or a value out of bounds
    """
    share = min(1.0, rows / QLIB_ROWS)
    scaled = {name: round(float(QLIB_PARAMETERS[name]) * share, 6) for name in ("lambda_l1", "lambda_l2")}
    return checked({**QLIB_PARAMETERS, **scaled, **(given or {})})


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that may be chosen, each within its bounds.

    :raises BadParameter: an unknown name, or a value out of bounds
    """
    read = Parameters(given)
    values = {
        "learning_rate": read.number("learning_rate", 0.2, least=1e-4, most=1.0),
        "feature_fraction": read.number("feature_fraction", 1.0, least=0.01, most=1.0),
        "bagging_fraction": read.number("bagging_fraction", 1.0, least=0.01, most=1.0),
        "bagging_freq": read.whole("bagging_freq", 0, least=0, most=1_000),
        "lambda_l1": read.number("lambda_l1", 0.0, least=0.0, most=1e9),
        "lambda_l2": read.number("lambda_l2", 0.0, least=0.0, most=1e9),
        "max_depth": read.whole("max_depth", -1, least=-1, most=63),
        "num_leaves": read.whole("num_leaves", 31, least=2, most=4_096),
        "min_data_in_leaf": read.whole("min_data_in_leaf", 20, least=1, most=10_000_000),
        "min_gain_to_split": read.number("min_gain_to_split", 0.0, least=0.0, most=1e9),
        "max_bin": read.whole("max_bin", 255, least=2, most=65_535),
        "num_boost_round": read.whole("num_boost_round", 1_000, least=1, most=20_000),
        "early_stopping_rounds": read.whole("early_stopping_rounds", 50, least=0, most=20_000),
    }
    read.finish()
    return values


def booster_parameters(values: Mapping[str, Any], *, seed: int, threads: int) -> dict[str, Any]:
    """Return what LightGBM is given; every random choice of it follows from `seed`."""
    chosen = {name: value for name, value in values.items() if name not in {"num_boost_round", "early_stopping_rounds"}}
    return {**chosen, **FIXED, "seed": seed, "num_threads": threads}
