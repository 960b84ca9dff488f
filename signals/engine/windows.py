"""The windows of a walk forward, each on a worker."""

from dataclasses import replace

import polars as pl

from signals.backtest.fits import ModelFit
from signals.backtest.walk_forward import Fit, RunWindows, decide_window
from signals.backtest.windows import Window
from signals.engine.base import Engine
from signals.engine.features import features_on
from signals.progress import Progress, part_of

SHARE_OF_FEATURES = 20
SHARE_OF_ALL = 100


def windows_on(engine: Engine) -> RunWindows | None:
    """Return what runs windows on the engine; None where one process runs one after the other anyway."""
    if engine.workers <= 1:
        return None

    def run(windows: list[Window], fit: Fit, progress: Progress) -> list[pl.DataFrame]:
        features = part_of(progress, start=0, share=SHARE_OF_FEATURES, total=SHARE_OF_ALL)
        rest = SHARE_OF_ALL - SHARE_OF_FEATURES
        _compute_features(engine, fit, features)
        return engine.map(
            _decide,
            windows,
            shared=_for_one_core(fit),
            progress=part_of(progress, start=SHARE_OF_FEATURES, share=rest, total=SHARE_OF_ALL),
            what=f"{len(windows)} windows",
        )

    return run


def _compute_features(engine: Engine, fit: Fit, progress: Progress) -> None:
    """Compute once, by groups of symbols, what each worker would otherwise compute whole for itself."""
    if isinstance(fit, ModelFit):
        history = fit.history
        bars = history.until(history.bars["date"][-1])
        history.__dict__["features"] = features_on(engine, bars, progress=progress).sort("date", "symbol")


def _for_one_core(fit: Fit) -> Fit:
    """Let each worker train with one thread: there are as many workers as cores. Threads change no number."""
    return replace(fit, threads=1) if isinstance(fit, ModelFit) else fit


def _decide(fit: Fit, window: Window) -> pl.DataFrame:
    return decide_window(window, fit)
