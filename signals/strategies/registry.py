"""Find strategies: every module of this package that defines `STRATEGY`."""

import hashlib
import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path

import signals.strategies
from signals.errors import UnknownStrategyError
from signals.strategies.base import SignalStrategy


@cache
def _strategies() -> dict[str, SignalStrategy]:
    modules = (
        importlib.import_module(f"{signals.strategies.__name__}.{found.name}")
        for found in pkgutil.iter_modules(signals.strategies.__path__)
    )
    return {module.STRATEGY.name: module.STRATEGY for module in modules if hasattr(module, "STRATEGY")}


def strategy_names() -> list[str]:
    """Return the names of all strategies, sorted."""
    return sorted(_strategies())


def get_strategy(name: str) -> SignalStrategy:
    """Return the strategy of this name.

    :raises UnknownStrategyError: no file defines it
    """
    try:
        return _strategies()[name]
    except KeyError:
        raise UnknownStrategyError(name, strategy_names()) from None


@cache
def code_version(strategy_class: type) -> str:
    """Return 12 hex digits over the file that defines a strategy: another text is another version."""
    return hashlib.sha256(Path(inspect.getfile(strategy_class)).read_bytes()).hexdigest()[:12]
