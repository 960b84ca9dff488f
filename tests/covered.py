"""Which tests count for coverage: not the long proofs, which it slows by half, nor those of apps without orders."""

from pathlib import Path

import pytest

UNMEASURED = frozenset({"faults", "simulator", "scenarios", "architecture", "marketdata", "signals", "parity", "bench"})
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pause the measurement where it would cost much and show little."""
    for item in items:
        if item.path.relative_to(HERE).parts[0] in UNMEASURED:
            item.add_marker("no_cover")
