"""Values of the environment: typed, from files too, and complained about in one line each."""

from decimal import Decimal
from pathlib import Path

import pytest

from trading.environment import ConfigurationError, Reader

WORDS = ("paper", "dry_run")


def problems_of(reader: Reader) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        reader.verify()
    return caught.value.lines


def test_defaults_where_nothing_is_set():
    reader = Reader({"EMPTY": "  "})
    assert reader.text("EMPTY", "x") == "x"
    assert reader.choice("MODE", "paper", WORDS) == "paper"
    assert reader.integer("PORT", 8000, minimum=1, maximum=9) == 8000
    assert reader.boolean("DRY_RUN", default=True) is True
    assert reader.decimal("CAPITAL", "1.5", above="0", maximum="2") == Decimal("1.5")
    assert reader.words("SYMBOLS", ("A",)) == ("A",)
    assert reader.database("DATABASE_URL") == {}
    assert reader.path("VAR_DIR", Path("/x")) == Path("/x")
    reader.verify()


def test_a_file_replaces_the_value(tmp_path: Path):
    (tmp_path / "mode").write_text("dry_run\n")
    reader = Reader({"MODE": "paper", "MODE_FILE": str(tmp_path / "mode")})
    assert reader.choice("MODE", "paper", WORDS) == "dry_run"


def test_a_file_that_cannot_be_read_is_named():
    reader = Reader({"SECRET_KEY_FILE": "/nowhere/key"})
    reader.text("SECRET_KEY")
    (line,) = problems_of(reader)
    assert line.startswith("SECRET_KEY_FILE: read '/nowhere/key'; allowed: ")


@pytest.mark.parametrize("value", ["true", "1", "YES", "on"])
def test_yes(value: str):
    assert Reader({"DRY_RUN": value}).boolean("DRY_RUN", default=False) is True


@pytest.mark.parametrize("value", ["false", "0", "No", "off"])
def test_no(value: str):
    assert Reader({"DRY_RUN": value}).boolean("DRY_RUN", default=True) is False


def test_every_wrong_value_is_told_with_what_is_allowed():
    reader = Reader({"MODE": "live", "PORT": "70000", "DRY_RUN": "perhaps", "CAPITAL": "NaN", "IPS": "300.1.1.1"})
    reader.choice("MODE", "paper", WORDS)
    reader.integer("PORT", 8000, minimum=1, maximum=65534)
    reader.boolean("DRY_RUN", default=False)
    reader.decimal("CAPITAL", "1", above="0", maximum="2")
    reader.networks("IPS")
    assert problems_of(reader) == [
        "MODE: read 'live'; allowed: paper | dry_run",
        "PORT: read '70000'; allowed: a whole number from 1 to 65534",
        "DRY_RUN: read 'perhaps'; allowed: true | false",
        "CAPITAL: read 'NaN'; allowed: a number above 0, at most 2",
        "IPS: read '300.1.1.1'; allowed: IP addresses or networks between commas",
    ]


@pytest.mark.parametrize("value", ["desk.example.org", "https://desk.example.org/path", "ftp://desk.example.org"])
def test_an_origin_is_a_scheme_and_a_host(value: str):
    reader = Reader({"ORIGINS": f"https://good.example.org {value}"})
    assert reader.origins("ORIGINS") == ()
    assert len(problems_of(reader)) == 1


def test_origins_lose_a_last_slash():
    reader = Reader({"ORIGINS": "https://a.example.org/, http://localhost:3000"})
    assert reader.origins("ORIGINS") == ("https://a.example.org", "http://localhost:3000")


def test_secrets_are_never_repeated():
    reader = Reader({"KEY": "hunter2", "DATABASE_URL": "mysql://user:hunter2@host/db"})
    reader.secret("KEY", required=True)
    reader.database("DATABASE_URL")
    lines = problems_of(reader)
    assert len(lines) == 2
    assert not any("hunter2" in line for line in lines)


def test_secrets_of_services_are_found_by_prefix(tmp_path: Path):
    (tmp_path / "key").write_text("b" * 40)
    reader = Reader({"INTERNAL_TOKEN_SECRET_API": "a" * 40, "INTERNAL_TOKEN_SECRET_CLOCK_FILE": str(tmp_path / "key")})
    assert reader.secrets_after("INTERNAL_TOKEN_SECRET_") == {"api": "a" * 40, "clock": "b" * 40}


def test_a_database_url_becomes_settings():
    found = Reader({"DATABASE_URL": "postgres://me:pw@db.example.org:5433/books"}).database("DATABASE_URL")
    assert (found["HOST"], found["PORT"], found["NAME"], found["USER"]) == ("db.example.org", 5433, "books", "me")
