"""The command: what it says, how it ends, what it refuses to start with."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
import requests
from alpaca.trading.client import TradingClient
from django.core.management import CommandError, call_command

from execution.emulator.faults import FaultKind
from execution.management.commands.run_broker_emulator import Command
from tests.architecture.source import REPOSITORY
from tests.execution.emulator.clients import market, timed

DAY = ("--from", "2012-06-14", "--to", "2012-06-15")


@contextmanager
def started(*arguments):
    """Run the command in a process of its own; yield it and what it told to export."""
    environment = {**os.environ, "PORTCULLIS_NO_SERVERS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run_broker_emulator", "--port", "0", *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    told = {}
    for line in process.stdout:
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            told[name] = value
        if line.startswith("Ctrl-C"):
            break
    try:
        yield process, told
    finally:
        process.kill()
        process.communicate()


def test_it_says_what_to_export_trades_and_ends_on_sigterm(tmp_path):
    log = tmp_path / "happened.jsonl"
    with started(*DAY, "--speed", "100000", "--cash", "5000", "--log", str(log)) as (process, told):
        client = timed(
            TradingClient(
                told["ALPACA_API_KEY_ID"], told["ALPACA_API_SECRET_KEY"], url_override=told["ALPACA_BASE_URL"]
            )
        )
        assert client.get_account().cash == "5000.00"
        client.submit_order(market(quantity=1))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        rest = process.stdout.read() + process.stderr.read()
    assert told["TRADING_MODE"] == "alpaca_paper"
    assert told["ALPACA_STREAM_URL"] == told["ALPACA_BASE_URL"].replace("http", "ws") + "/stream"
    assert told["ALPACA_DATA_STREAM_URL"].endswith("/v2/iex")
    assert "things happened" in rest
    assert "Traceback" not in rest
    assert '"kind":"submitted"' in log.read_text()


def test_it_ends_on_ctrl_c_while_an_answer_is_late(tmp_path):
    plan = tmp_path / "faults.jsonl"
    plan.write_text('{"kind": "accept_then_timeout", "parameters": {"seconds": 600}}\n')
    with started(*DAY, "--faults", str(plan)) as (process, told):
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{told['ALPACA_BASE_URL']}/v2/clock", timeout=0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def refused(*arguments) -> str:
    with pytest.raises(CommandError) as caught:
        call_command("run_broker_emulator", *arguments, stdout=StringIO())
    return str(caught.value)


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        message = refused("--port", str(taken.getsockname()[1]), *DAY)
    assert message.startswith("--port: cannot listen on 127.0.0.1:")
    assert "--port 0 takes a free one" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"kind": "slow"}\n{"kind": "fast"}', "line 2: kind: 'fast'; allowed: accept_then_500"),
        ('{"kind": "slow"}\n\n{kind}', "line 3: not JSON"),
        ('[{"kind": "slow"}, {"kind": "slow", "color": 1}]', "fault 2: color: unknown"),
        ("[1]", "fault 1: 1 is not allowed; an object is"),
        ('{"kind": "slow", "times": 0}', "line 1: times: 0; allowed: a whole number from 1 up"),
    ],
)
def test_a_faults_file_that_cannot_be_read_names_the_line(tmp_path: Path, content, message):
    file = tmp_path / "faults.json"
    file.write_text(content)
    assert message in refused("--faults", str(file), *DAY)


def test_a_faults_file_that_is_not_there(tmp_path):
    assert "cannot be read" in refused("--faults", str(tmp_path / "none.json"), *DAY)


def test_a_log_that_cannot_be_written(tmp_path):
    assert "cannot be written" in refused("--port", "0", "--log", str(tmp_path / "no" / "where.jsonl"), *DAY)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "2012-06-16", "--to", "2012-06-17"), "no session"),
        (("--from", "2020-01-02", "--to", "2020-01-03"), "there are no bars from 2020-01-02"),
        (("--from", "tomorrow"), "a date such as"),
        (("--speed", "0"), "above 0"),
        (("--cash", "nan"), "above 0"),
        (("--port", "70000"), "0 to 65535"),
        (("--rate-limit", "-1"), "a whole number"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(arguments, message):
    assert message in refused(*arguments)


@pytest.mark.django_db
def test_an_empty_lake_says_what_to_import(settings, tmp_path):
    settings.LAKE_DIR = tmp_path
    assert "import_sample" in refused("--source", "lake", *DAY)


def test_the_help_tells_every_kind_of_fault():
    text = Command().create_parser("manage.py", "run_broker_emulator").format_help()
    for kind in FaultKind:
        assert kind in text
