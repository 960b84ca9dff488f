"""Kill switches that wait on disk: none is lost and nobody stumbles when several look at once."""

import fcntl
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from execution.services import wishes
from execution.services.halt import engage_kill_switch
from execution.services.wishes import fulfil_wishes, keep_wish, kept_wishes
from execution.types import HaltReport
from risk.models import Alert
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


def test_a_wish_of_an_impossible_scope_is_told_and_keeps_no_other_waiting(tmp_path: Path) -> None:
    account = make_account()
    keep(tmp_path, "all the technology names")
    keep(tmp_path, account.scope)
    [report] = fulfil_wishes(tmp_path, wall_now=WALL_NOW)
    assert is_engaged(account.scope)
    assert report.already_engaged is False
    alert = Alert.objects.get(code=wishes.REFUSED)
    assert (alert.severity, alert.state) == ("critical", "open")
    assert "NOTHING was stopped" in alert.message
    assert "'all the technology names'" in alert.message
    assert kept_wishes(tmp_path) == []


def test_a_wish_with_a_reason_that_nobody_could_read_is_told_too(tmp_path: Path) -> None:
    keep_wish(tmp_path, scope="global", operator="ann", reason="oh", source="cli", wall_now=WALL_NOW)
    assert fulfil_wishes(tmp_path, wall_now=WALL_NOW) == []
    assert "2 characters given" in Alert.objects.get(code=wishes.REFUSED).message


def test_words_that_are_no_text_stop_everything(tmp_path: Path) -> None:
    path = keep(tmp_path, "global")
    path.write_text(path.read_text().replace('"global"', "7"))
    make_account()
    fulfil_wishes(tmp_path, wall_now=WALL_NOW)
    assert is_engaged("global")


def test_who_hangs_with_the_wishes_in_hand_keeps_nobody_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wish goes beside the file that somebody may still write, and is carried out with the others."""
    monkeypatch.setattr(wishes, "TRIES", 2)
    first, second = make_account(), make_account()
    shared = keep(tmp_path, first.scope)
    with shared.with_suffix(".lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        beside = keep(tmp_path, second.scope)
        assert beside != shared
        assert len(fulfil_wishes(tmp_path, wall_now=WALL_NOW)) == 2
        assert len(kept_wishes(tmp_path)) == 2
    assert is_engaged(first.scope)
    assert is_engaged(second.scope)
    fulfil_wishes(tmp_path, wall_now=WALL_NOW)
    assert kept_wishes(tmp_path) == []
