"""Kill switches that wait on disk: none is lost and nobody stumbles when several look at once."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from execution.services import wishes
from execution.services.halt import engage_kill_switch
from execution.services.wishes import fulfil_wishes, keep_wish, kept_wishes
from execution.types import HaltReport
from risk.selectors import is_engaged
from tests.factories import WALL_NOW, make_account, make_strategy
from tests.risk.threads import together

pytestmark = pytest.mark.django_db


def keep(var_dir: Path, scope: str) -> Path:
    return keep_wish(
        var_dir, scope=scope, operator="ann", reason="the database was away", source="cli", wall_now=WALL_NOW
    )


def while_engaging(monkeypatch: pytest.MonkeyPatch, meanwhile: Any) -> None:
    def engage(**fields: Any) -> HaltReport:
        monkeypatch.undo()
        meanwhile()
        return engage_kill_switch(**fields)

    monkeypatch.setattr(wishes, "engage_kill_switch", engage)


def test_a_wish_that_comes_while_another_is_carried_out_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, strategy = make_account(), make_strategy(name="momentum")
    keep(tmp_path, f"strategy:{strategy.name}")
    while_engaging(monkeypatch, lambda: keep(tmp_path, account.scope))
    fulfil_wishes(tmp_path, wall_now=WALL_NOW)
    fulfil_wishes(tmp_path, wall_now=WALL_NOW)
    assert is_engaged(account.scope)
    assert is_engaged(f"strategy:{strategy.name}")
    assert kept_wishes(tmp_path) == []


def test_two_who_carry_out_the_same_wish_do_not_stumble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_account()
    keep(tmp_path, account.scope)
    while_engaging(monkeypatch, lambda: fulfil_wishes(tmp_path, wall_now=WALL_NOW))
    assert len(fulfil_wishes(tmp_path, wall_now=WALL_NOW)) == 1
    assert is_engaged(account.scope)
    assert kept_wishes(tmp_path) == []


def test_wishes_that_are_kept_at_the_same_moment_are_all_kept(tmp_path: Path) -> None:
    """The console and the command while the database is away: who writes the file alone forgets nobody."""
    scopes = [f"strategy:s{number}" for number in range(8)]
    paths = together(*(partial(keep, tmp_path, scope) for scope in scopes))
    assert [isinstance(path, Path) for path in paths] == [True] * 8, paths
    assert sorted(wish.scope for wish in kept_wishes(tmp_path)) == scopes
