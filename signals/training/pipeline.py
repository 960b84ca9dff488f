"""From a strategy, symbols and dates to a registered candidate: bars, features, labels, splits, training, registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Self

from marketdata import calendar
from marketdata.models import Instrument
from marketdata.selectors import bars as bars_of
from signals.datasets import EMBARGO, TEST_SHARE, VALID_SHARE, Dataset, make_dataset, splits_of
from signals.engine import Engine
from signals.engine.features import features_on
from signals.engine.here import Inline
from signals.engine.training import train_on
from signals.features import FEATURES, LOOKBACK, feature_version
from signals.labels import HORIZON
from signals.models import ModelVersion
from signals.parameters import BadParameter, Parameters, ordered
from signals.progress import Progress, part_of, silent
from signals.registry.versions import store
from signals.strategies.base import ModelStrategy
from signals.strategies.registry import get_strategy, strategy_names
from signals.training.errors import TrainingError
from signals.training.fit import MOST_SEED
from signals.training.parameters import MOST_THREADS, QLIB_PARAMETERS, checked, parameters_for

FIRST_DAY = date(1990, 1, 2)
SHARE_OF_FEATURES, SHARE_OF_ALL = 30, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """What is to be trained; `start` and `end` are the first and last session of the data.

    `valid_share` and `test_share` are parts of the sessions, `embargo` sessions between two splits, `parameters` what
    differs from Qlib's.
    """

    strategy: str
    symbols: tuple[str, ...]
    start: date
    end: date
    seed: int = 7
    valid_share: float = VALID_SHARE
    test_share: float = TEST_SHARE
    embargo: int = EMBARGO
    threads: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Read it from JSON.

        :raises BadParameter: a parameter that is missing, unknown or out of bounds
        """
        read = Parameters(given)
        values = {
            "strategy": read.text("strategy", choices=trainable()),
            "symbols": read.symbols(),
            "start": read.day("start"),
            "end": read.day("end"),
            "seed": read.whole("seed", 7, least=0, most=MOST_SEED),
            "valid_share": read.number("valid_share", VALID_SHARE, least=0.05, most=0.4),
            "test_share": read.number("test_share", TEST_SHARE, least=0.05, most=0.4),
            "embargo": read.whole("embargo", EMBARGO, least=HORIZON, most=250),
            "threads": read.whole("threads", 0, least=0, most=MOST_THREADS),
            "parameters": read.mapping("parameters", {}),
        }
        read.finish()
        _refuse_other_days(values["start"], values["end"])
        checked({**QLIB_PARAMETERS, **values["parameters"]})
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """Return the form that `read` takes."""
        return {
            "strategy": self.strategy,
            "symbols": list(self.symbols),
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "seed": self.seed,
            "valid_share": self.valid_share,
            "test_share": self.test_share,
            "embargo": self.embargo,
            "threads": self.threads,
            "parameters": dict(self.parameters),
        }


def trainable() -> list[str]:
    """Return the strategies that score with a model of their own."""
    return [name for name in strategy_names() if isinstance(get_strategy(name), ModelStrategy)]


def train_strategy(
    request: TrainingRequest,
    *,
    created_by: str,
    now: datetime,
    on_progress: Progress | None = None,
    engine: Engine | None = None,
) -> ModelVersion:
    """Train what is asked for and register it as a candidate; the same data, code, parameters and seed: the same one.

    `now` is wall time. `engine` computes features and trains somewhere else: the same bytes.
    :raises EngineError: the engine cannot do it
    :raises BadParameter: symbols that are no instruments, or none with bars
    :raises DatasetError: the dates leave too little
    :raises TrainingError: the data taught nothing
    :raises ArtefactError: the file cannot be written
    :raises Cancelled: `on_progress` wants no more of it
    """
    tell = on_progress or silent
    tell(0, SHARE_OF_ALL, "reading bars")
    where = engine or Inline()
    dataset = dataset_for(request, tell, engine=where)
    parameters = parameters_for(dataset.part("train").height, request.parameters)
    trained = train_on(
        where,
        dataset,
        parameters=parameters,
        seed=request.seed,
        threads=request.threads,
        on_progress=part_of(tell, start=SHARE_OF_FEATURES, share=65, total=SHARE_OF_ALL),
    )
    tell(95, SHARE_OF_ALL, "signing and registering")
    version = store(strategy=request.strategy, trained=trained, created_by=created_by, now=now)
    tell(SHARE_OF_ALL, SHARE_OF_ALL, f"registered as {version}")
    return version


def dataset_for(request: TrainingRequest, tell: Progress = silent, *, engine: Engine | None = None) -> Dataset:
    """Return features and labels of the request's symbols and dates; no bar after its end is read.

    Prices are total-return adjusted as known at the end, so that nothing later moves them either.
    """
    _refuse_unknown(request.symbols)
    bars = bars_of(
        request.symbols, start=_first_bar(request.start), end=request.end, adjustment="total_return", as_of=request.end
    )
    if bars.is_empty():
        raise BadParameter("symbols", ", ".join(request.symbols), f"symbols with bars up to {request.end}; import some")
    tell(5, SHARE_OF_ALL, f"computing {len(FEATURES)} features of {bars.height:,} bars")
    features = features_on(
        engine or Inline(),
        bars.sort("symbol", "date"),
        progress=part_of(tell, start=5, share=20, total=SHARE_OF_ALL),
    )
    tell(25, SHARE_OF_ALL, "labels and splits")
    features = features.filter(features["date"].is_between(request.start, request.end))
    if features.is_empty():
        raise TrainingError(f"no bar from {request.start} to {request.end} of {', '.join(request.symbols[:5])}")
    days = calendar.sessions_between(request.start, request.end)
    splits = splits_of(days, valid=request.valid_share, test=request.test_share, embargo=request.embargo)
    return make_dataset(features, bars, names=FEATURES, feature_version=feature_version(), splits=splits)


def _first_bar(start: date) -> date:
    """Return the session from which on the features of `start` are complete."""
    before = calendar.sessions_between(max(FIRST_DAY, start - timedelta(days=2 * LOOKBACK)), start)
    return before[-LOOKBACK:][0] if before else start


def _refuse_unknown(symbols: Sequence[str]) -> None:
    known = set(Instrument.objects.filter(symbol__in=symbols).values_list("symbol", flat=True))
    unknown = sorted(set(symbols) - known)
    if unknown:
        raise BadParameter(
            "symbols", ", ".join(unknown), "symbols of known instruments; `import_bars` makes them known"
        )


def _refuse_other_days(start: date, end: date) -> None:
    ordered(start, end)
    if start < FIRST_DAY:
        raise BadParameter("start", start.isoformat(), f"a date from {FIRST_DAY} on")
