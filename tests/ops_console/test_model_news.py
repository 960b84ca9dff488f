"""A process that cannot load the active model says so, and says when it can again."""

import pytest

from risk.models import Alert
from signals import registry
from signals.registry import live_models
from signals.registry.artefacts import path_of
from signals.registry.live import LiveModels
from tests.signals.registry.candidates import NOW, REASON, stored

pytestmark = pytest.mark.django_db
WHO = {"actor": "olga", "reason": REASON, "now": NOW}


@pytest.fixture(autouse=True)
def model_folder(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    settings.MODEL_APPROVALS = 1
    settings.PROCESS_ROLE = "worker"
    yield settings.MODEL_DIR
    live_models.forget()


def test_a_failed_reload_raises_an_alert_that_ends_with_a_good_one():
    first, second = stored(seed=1), stored(seed=2)
    registry.activate(first.pk, **WHO)
    models = LiveModels(look_seconds=0)
    models.active_model("alpha_baseline")
    assert not Alert.objects.exists()
    registry.activate(second.pk, **WHO)
    whole = path_of(second).read_bytes()
    path_of(second).write_bytes(whole[:-1])
    assert models.active_model("alpha_baseline").version_id == first.pk
    alert = Alert.objects.get()
    assert (alert.code, alert.severity, alert.state) == ("model_reload_failed", "warning", "open")
    assert alert.subject.startswith("strategy:alpha_baseline process:worker@")
    assert f"goes on with model {first.pk}" in alert.message
    assert "bytes where" in alert.message
    models.reload("alpha_baseline")
    alert.refresh_from_db()
    assert alert.count == 2
    path_of(second).write_bytes(whole)
    models.reload("alpha_baseline")
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_with_no_model_to_go_on_with_it_is_critical():
    version = stored()
    registry.activate(version.pk, **WHO)
    path_of(version).unlink()
    with pytest.raises(registry.ModelError):
        LiveModels().active_model("alpha_baseline")
    alert = Alert.objects.get()
    assert alert.severity == "critical"
    assert "its runs are skipped" in alert.message


def test_a_roll_back_away_from_a_file_that_cannot_be_read_ends_the_alert():
    first, second = stored(seed=1), stored(seed=2)
    registry.activate(first.pk, **WHO)
    models = LiveModels(look_seconds=0)
    models.active_model("alpha_baseline")
    registry.activate(second.pk, **WHO)
    path_of(second).unlink()
    models.active_model("alpha_baseline")
    registry.rollback("alpha_baseline", **WHO)
    assert models.active_model("alpha_baseline").version_id == first.pk
    assert Alert.objects.get().state == "resolved"
