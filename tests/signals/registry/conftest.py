"""A folder of its own for the models of each test, and a process that holds none."""

from pathlib import Path

import pytest

from signals.registry import live_models


@pytest.fixture(autouse=True)
def model_folder(tmp_path: Path, settings):
    """Return the folder."""
    settings.MODEL_DIR = tmp_path / "models"
    settings.MODEL_SIGNING_KEY = "k" * 40
    settings.MODEL_APPROVALS = 1
    live_models.forget()
    yield settings.MODEL_DIR
    live_models.forget()
