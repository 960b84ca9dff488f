"""Which tests count for coverage: those of the measured code itself, not the long proofs, which it slows by half."""

from pathlib import Path

import pytest

MEASURED = ("risk", "execution")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pause the measurement in tests that are not about the measured apps themselves."""
    for item in items:
        if item.path.relative_to(HERE).parts[0] not in MEASURED:
            item.add_marker("no_cover")
