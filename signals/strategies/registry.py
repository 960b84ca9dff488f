"""Find strategies: every module of this package that defines `STRATEGY`."""

import hashlib
import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path

import signals.portfolio
import signals.strategies
import signals.strategies.weighting
from signals.errors import UnknownStrategyError
from signals.strategies.base import CompositeStrategy, SignalStrategy


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
    """Return 12 hex digits over the file that defines a strategy and those that make weights: another text is another
    version.
    """
    files = (inspect.getfile(strategy_class), signals.portfolio.__file__, signals.strategies.weighting.__file__)
    return _digest("".join(hashlib.sha256(Path(str(file)).read_bytes()).hexdigest() for file in files))


def code_of(strategy: SignalStrategy) -> str:
    """Return the code version of a strategy, and of those it asks where it asks others."""
    own = code_version(type(strategy))
    if not isinstance(strategy, CompositeStrategy):
        return own
    members = strategy.members or tuple(get_strategy(name) for name in strategy.member_names)
    return _digest(own + "".join(code_of(member) for member in members))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
