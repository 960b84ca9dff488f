"""The start with right and wrong environments, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SECRET = "s3cret-" * 10
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": SECRET,
    "WEBHOOK_SECRET": SECRET,
    "MODEL_SIGNING_KEY": SECRET,
    "ALLOWED_HOSTS": "desk.example.org",
    "TRUSTED_PROXY_IPS": "127.0.0.1",
}


def manage(tmp_path: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = kept | {"VAR_DIR": str(tmp_path), "PORTCULLIS_NO_SERVERS": "1"} | variables
    command = [sys.executable, str(REPOSITORY / "manage.py"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        (
            {"TRADING_MODE": "live"},
            ["TRADING_MODE: read 'live'; allowed: dry_run | paper | alpaca_paper | alpaca_live"],
        ),
        ({"PORT": "eighty"}, ["PORT: read 'eighty'; allowed: a whole number from 1 to 65534"]),
        (
            {"CAPITAL": "-1", "LOG_FORMAT": "xml"},
            [
                "LOG_FORMAT: read 'xml'; allowed: json | console",
                "CAPITAL: read '-1'; allowed: a number above 0, at most 1000000000",
            ],
        ),
    ],
)
def test_a_wrong_value_stops_the_start_with_a_line_each(tmp_path, variables, lines):
    outcome = manage(tmp_path, "check", **variables)
    assert outcome.returncode == 2
    assert outcome.stderr.splitlines() == lines


def test_production_asks_for_all_that_has_no_safe_default(tmp_path):
    outcome = manage(tmp_path, "check", ENVIRONMENT="production")
    assert outcome.returncode == 2
    named = [line.split(":")[0] for line in outcome.stderr.splitlines()]
    assert named == ["SECRET_KEY", "WEBHOOK_SECRET", "MODEL_SIGNING_KEY", "ALLOWED_HOSTS", "TRUSTED_PROXY_IPS"]


def test_production_settings_pass_the_deployment_check(tmp_path):
    outcome = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert (outcome.returncode, outcome.stderr) == (0, "")


def test_a_live_account_must_be_named(tmp_path):
    keys = {"ALPACA_API_KEY_ID": "id", "ALPACA_API_SECRET_KEY": "key"}
    outcome = manage(tmp_path, "check", TRADING_MODE="alpaca_live", **keys)
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("LIVE_TRADING_ACCOUNT: ")


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        (
            {"ALPACA_API_KEY_ID": "AKLIVE"},
            "ALPACA_API_KEY_ID: read 6 characters; "
            "allowed: a paper key (beginning with PK, not AK) in mode alpaca_paper",
        ),
        (
            {"ALPACA_API_KEY_ID": "PKPAPER", "TRADING_MODE": "alpaca_live", "LIVE_TRADING_ACCOUNT": "123"},
            "ALPACA_API_KEY_ID: read 7 characters; allowed: a live key (beginning with AK, not PK) in mode alpaca_live",
        ),
        (
            {"ALPACA_BASE_URL": "https://api.alpaca.markets"},
            "ALPACA_BASE_URL: read 26 characters; allowed: paper-api.alpaca.markets in mode alpaca_paper",
        ),
        (
            {"ALPACA_STREAM_URL": "wss://api.alpaca.markets/stream"},
            "ALPACA_STREAM_URL: read 31 characters; allowed: paper-api.alpaca.markets in mode alpaca_paper",
        ),
        (
            {"ALPACA_BASE_URL": "http://paper-api.alpaca.markets"},
            "ALPACA_BASE_URL: read 31 characters; allowed: an encrypted connection to paper-api.alpaca.markets",
        ),
        (
            {"LIVE_TRADING_ACCOUNT": "PA123", "TRADING_MODE": "alpaca_live", "ALPACA_API_KEY_ID": "AKLIVE"},
            "LIVE_TRADING_ACCOUNT: read 'PA123'; allowed: a live account's number when TRADING_MODE is alpaca_live; "
            "PA… is a paper account",
        ),
    ],
)
def test_keys_and_addresses_must_be_of_the_mode(tmp_path, variables, line):
    given = {"TRADING_MODE": "alpaca_paper", "ALPACA_API_KEY_ID": "PKPAPER", "ALPACA_API_SECRET_KEY": "key"} | variables
    outcome = manage(tmp_path, "check", **given)
    assert (outcome.returncode, outcome.stderr.splitlines()) == (2, [line])


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"ALPACA_BASE_URL": "https://paper-api.alpaca.markets/v2/"},
        {"ALPACA_BASE_URL": "http://127.0.0.1:9000", "ALPACA_STREAM_URL": "ws://127.0.0.1:9000/stream"},
    ],
)
def test_an_emulator_or_the_modes_own_address_is_good(tmp_path, variables):
    given = {"TRADING_MODE": "alpaca_paper", "ALPACA_API_KEY_ID": "PKPAPER", "ALPACA_API_SECRET_KEY": "key"} | variables
    outcome = manage(tmp_path, "check", **given)
    assert (outcome.returncode, outcome.stderr) == (0, "")


@pytest.mark.parametrize("name", ["ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"])
def test_a_key_with_a_line_break_is_refused_without_being_told(tmp_path, name):
    keys, broken = {"ALPACA_API_KEY_ID": "PKPAPER", "ALPACA_API_SECRET_KEY": "key"}, {name: "PKfirst\nsecond"}
    outcome = manage(tmp_path, "check", TRADING_MODE="alpaca_paper", **keys | broken)
    assert outcome.returncode == 2
    assert outcome.stderr.splitlines() == [f"{name}: read 14 characters; allowed: one line of letters and digits"]


def test_dry_run_wins_over_the_mode(tmp_path):
    shown = manage(tmp_path, "diffsettings", TRADING_MODE="paper", DRY_RUN="true").stdout
    assert "TRADING_MODE = 'dry_run'" in shown


def test_the_development_key_is_made_once_and_is_its_owners(tmp_path):
    assert manage(tmp_path, "check").returncode == 0
    key = tmp_path / "secret_key"
    first = key.read_text()
    models_key = tmp_path / "model_signing_key"
    assert models_key.stat().st_mode & 0o777 == 0o600
    assert models_key.read_text() != first
    assert manage(tmp_path, "check").returncode == 0
    assert key.read_text() == first
    assert len(first) >= 50
    assert key.stat().st_mode & 0o777 == 0o600


def test_tests_have_their_own_servers(settings):
    assert settings.ENVIRONMENT == "test"
    assert settings.VAR_DIR.name == "test"


def test_the_policy_of_every_page_allows_nothing_inline(client):
    policy = client.get("/health/live").headers["Content-Security-Policy"]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == parts["frame-ancestors"] == parts["base-uri"] == parts["object-src"] == "'none'"
    assert parts["script-src"] == parts["style-src"] == "'self'"
    assert "unsafe" not in policy
