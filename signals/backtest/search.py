"""Search for parameters with Optuna's TPE sampler, seeded: the same space, data and seed give the same trials.

Who tries many parameters finds a good-looking one by luck. So the search sees only the first part of the range, the
best is judged once on the rest, and the deflated Sharpe ratio says how likely it is better than the luckiest of as many
worthless trials (Bailey and López de Prado 2014, "The deflated Sharpe ratio", eq. 1 and 2).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from signals.backtest.measures import SESSIONS_A_YEAR
from signals.backtest.panel import FloatArray
from signals.errors import BacktestInputError
from signals.progress import Progress, part_of, silent

EULER = 0.5772156649015329
MOST_TRIALS = 1000
MOST_BATCH = 256
MOST_CHOICES = 100
Parameters = dict[str, int | float | str]
Objective = Callable[[Parameters], float | None]
"""Returns what is to be large; None where a set of parameters cannot be judged."""
Evaluate = Callable[[Objective, list[Parameters], Progress], list[float | None]]
"""Asks the objective about several sets somewhere else, in any order, and returns the values in their order."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One try; `value` is None where it could not be judged."""

    number: int
    parameters: Parameters
    value: float | None


@dataclass(frozen=True, slots=True)
class Search:
    """All trials in order, and the best of them."""

    trials: list[Trial]
    best: Trial


def search(
    space: Mapping[str, Any],
    objective: Objective,
    *,
    trials: int,
    seed: int,
    batch: int = 1,
    evaluate: Evaluate | None = None,
    progress: Progress = silent,
) -> Search:
    """Try `trials` sets of parameters and keep the one with the largest objective; equal ones: the first.

    `space` maps a name to `{"low": a, "high": b}` (whole numbers where both are; `"step"` and `"log"` as Optuna has
    them) or to `{"choices": [...]}`. A set that came before is not computed again. `batch` sets are chosen before any
    of them is judged, so that `evaluate` may judge them at once: which sets are tried depends on it, and on nothing
    else of where they are judged.
    :raises BacktestInputError: the space or the number of trials cannot be searched, or no trial could be judged
    """
    import optuna  # imported here: only who searches should pay half a second for it

    ranges = {name: _range(name, given) for name, given in sorted(space.items())}
    if not ranges:
        raise BacktestInputError("space", "nothing", "at least one parameter")
    if not 1 <= batch <= MOST_BATCH:
        raise BacktestInputError("batch", batch, f"a whole number from 1 to {MOST_BATCH}")
    if not 1 <= trials <= MOST_TRIALS:
        raise BacktestInputError("trials", trials, f"a whole number from 1 to {MOST_TRIALS}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    done: list[Trial] = []
    seen: dict[tuple[Any, ...], float | None] = {}
    while len(done) < trials:
        progress(len(done), trials, _told(done, trials))
        asked = [study.ask() for _ in range(min(batch, trials - len(done)))]
        chosen = [{name: each(one, name) for name, each in ranges.items()} for one in asked]
        unseen = list({tuple(one.values()): one for one in chosen if tuple(one.values()) not in seen}.values())
        tell = part_of(progress, start=len(done), share=len(asked), total=trials)
        values = [objective(one) for one in unseen] if evaluate is None else evaluate(objective, unseen, tell)
        seen |= {tuple(one.values()): value for one, value in zip(unseen, values, strict=True)}
        for one, parameters in zip(asked, chosen, strict=True):
            value = seen[tuple(parameters.values())]
            if value is None or not math.isfinite(value):
                study.tell(one, state=optuna.trial.TrialState.FAIL)
                value = None
            else:
                study.tell(one, value)
            done.append(Trial(len(done), parameters, value))
    progress(trials, trials, _told(done, trials))
    return Search(done, _best(done))


def check_space(space: object) -> None:
    """Refuse a space that cannot be searched, without searching it.

    :raises BacktestInputError: it cannot
    """
    if not isinstance(space, Mapping) or not 1 <= len(space) <= 20:
        raise BacktestInputError("space", space, "an object with 1 to 20 parameters")
    for name, given in space.items():
        _range(str(name), given)


def deflated_sharpe(returns: FloatArray, trial_sharpes: Sequence[float]) -> float | None:
    """Return the probability that the true Sharpe ratio beats the best expected of so many trials without any skill.

    `returns` are the chosen trial's daily returns, `trial_sharpes` the annual ratios of all trials. None where the
    returns do not vary or there was only one trial.
    """
    deviation = float(returns.std(ddof=1)) if len(returns) > 2 else 0.0
    if deviation < 1e-12 or len(trial_sharpes) < 2:
        return None
    standard = (returns - returns.mean()) / float(returns.std())
    skew, kurtosis = float((standard**3).mean()), float((standard**4).mean())
    observed = float(returns.mean()) / deviation
    spread = float(np.std(trial_sharpes, ddof=1)) / math.sqrt(SESSIONS_A_YEAR)
    count, normal = len(trial_sharpes), NormalDist()
    luckiest = spread * ((1 - EULER) * normal.inv_cdf(1 - 1 / count) + EULER * normal.inv_cdf(1 - 1 / (count * math.e)))
    error = 1 - skew * observed + (kurtosis - 1) / 4 * observed**2
    if error <= 0:
        return None
    return normal.cdf((observed - luckiest) * math.sqrt(len(returns) - 1) / math.sqrt(error))


def _range(name: str, given: object) -> Callable[[Any, str], Any]:
    allowed = '{"low": a, "high": b} or {"choices": [...]}'
    if not isinstance(given, Mapping):
        raise BacktestInputError(f"space.{name}", given, allowed)
    choices = given.get("choices")
    if choices is not None:
        plain = isinstance(choices, list) and all(isinstance(each, (int, float, str, bool)) for each in choices)
        if set(given) != {"choices"} or not plain or not 1 <= len(choices) <= MOST_CHOICES:
            raise BacktestInputError(f"space.{name}", given, f"1 to {MOST_CHOICES} plain values under choices")
        return lambda trial, key: trial.suggest_categorical(key, choices)
    low: Any = given.get("low")
    high: Any = given.get("high")
    if not _is_number(low) or not _is_number(high) or not set(given) <= {"low", "high", "step", "log"}:
        raise BacktestInputError(f"space.{name}", given, allowed)
    if not low < high:
        raise BacktestInputError(f"space.{name}", given, "low below high")
    return _numbers(name, given, low, high)


def _numbers(name: str, given: Mapping[str, Any], low: Any, high: Any) -> Callable[[Any, str], Any]:
    step, log = given.get("step"), given.get("log", False)
    whole = isinstance(low, int) and isinstance(high, int)
    if not isinstance(log, bool) or (log and (low <= 0 or step is not None)):
        raise BacktestInputError(f"space.{name}", given, "log only from above 0 and without a step")
    if step is not None and (not _is_number(step) or step <= 0 or (whole and not isinstance(step, int))):
        raise BacktestInputError(f"space.{name}.step", step, "a number above 0, whole where the bounds are")
    if whole:
        return lambda trial, key: trial.suggest_int(key, low, high, step=step or 1, log=log)
    return lambda trial, key: trial.suggest_float(key, float(low), float(high), step=step, log=log)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _best(done: list[Trial]) -> Trial:
    judged = [trial for trial in done if trial.value is not None]
    if not judged:
        raise BacktestInputError("space", f"{len(done)} trials", "parameters of which at least one can be judged")
    return max(judged, key=lambda trial: (trial.value or 0.0, -trial.number))


def _told(done: list[Trial], trials: int) -> str:
    judged = [trial.value for trial in done if trial.value is not None]
    best = f", best {max(judged):.3f}" if judged else ""
    return f"trial {min(len(done) + 1, trials)} of {trials}{best}"
