"""What a backtest's figures depend on besides its parameters: the text of its code, and of the strategy's."""

import hashlib
from functools import cache
from pathlib import Path

import signals.labels
from signals.strategies.base import SignalStrategy
from signals.strategies.registry import code_of


@cache
def engine_version() -> str:
    """Return 12 hex digits over the files of this package and the labels it is judged by."""
    files = [*sorted(Path(__file__).parent.glob("*.py")), Path(str(signals.labels.__file__))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def code_version(strategy: SignalStrategy) -> str:
    """Return 12 hex digits over the backtest's and the strategy's code."""
    return hashlib.sha256(f"{engine_version()}{code_of(strategy)}".encode()).hexdigest()[:12]
