"""Tests have their own embedded servers, beside those of the desk."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
os.environ.setdefault("VAR_DIR", str(REPOSITORY / "var" / "test"))
os.environ.setdefault("ENVIRONMENT", "test")
