"""Tests have their own embedded servers, beside those of the desk; nothing of the caller's environment reaches them."""

import os
from pathlib import Path

import django
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.controls.evidence import (
    pytest_configure,
    pytest_runtest_logreport,
    pytest_runtest_setup,
    pytest_sessionfinish,
)
from tests.covered import pytest_collection_modifyitems
from tests.faults.proof_lines import pytest_terminal_summary
from tests.flushing import flush_what_was_written

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_logreport",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]
REPOSITORY = Path(__file__).resolve().parent.parent
OURS = [
    "TRADING_MODE",
    "DRY_RUN",
    "LIVE_TRADING_ACCOUNT",
    "STRATEGY_ID",
    "CAPITAL",
    "MAX_POSITION_SIZE",
    "DATA_FRESHNESS_MINUTES",
    "OUTLIER_THRESHOLD",
    "RECONCILIATION_INTERVAL_SECONDS",
    "REPLAY_SPEED",
    "PAPER_RUN_SYMBOLS",
    "PAPER_RUN_CAPITAL",
    "PAPER_RUN_MAX_POSITION_SIZE",
    "PROCESS_ROLE",
    "ALLOWED_HOSTS",
    "ALLOWED_ORIGINS",
    "TRUSTED_PROXY_IPS",
    "PORT",
    "DEBUG",
    "LAKE_DIR",
    "ALPACA_API_KEY_ID",
    "ALPACA_API_SECRET_KEY",
    "ALPACA_BASE_URL",
    "ALPACA_DATA_URL",
    "ALPACA_STREAM_URL",
    "ALPACA_DATA_STREAM_URL",
    "ALPACA_DATA_FEED",
    "ALPACA_CONNECT_TIMEOUT_MILLISECONDS",
    "ALPACA_READ_TIMEOUT_MILLISECONDS",
]


def prepare_environment() -> None:
    """Set what the settings read, before anything reads them."""
    for name in OURS:
        os.environ.pop(name, None)
    os.environ.setdefault("VAR_DIR", str(REPOSITORY / "var" / "test"))
    os.environ["ENVIRONMENT"] = "test"
    os.environ["LOG_LEVEL"] = "WARNING"
    os.environ["RELEASE_WAIT_SECONDS"] = "0"  # whose test is about the wait sets it
    os.environ["DJANGO_SETTINGS_MODULE"] = "trading.settings"


def separate_workers() -> None:
    """Keep parallel test processes apart in Redis; in PostgreSQL each has its own database."""
    from django.conf import settings

    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    settings.REDIS_PREFIX = f"test-{worker}"
    settings.CHANNEL_LAYERS["default"]["CONFIG"]["prefix"] = settings.REDIS_PREFIX


def choose_examples() -> None:
    """Search anew at a developer's desk; take the same examples each time where a change is decided upon.

    A slow machine is no failure of the code, so nothing is judged by the clock.
    """
    patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    hypothesis_settings.register_profile("desk", **patient)
    hypothesis_settings.register_profile("decision", derandomize=True, **patient)
    hypothesis_settings.load_profile("decision" if os.environ.get("CI") else "desk")


prepare_environment()
choose_examples()
django.setup()
separate_workers()
flush_what_was_written()
