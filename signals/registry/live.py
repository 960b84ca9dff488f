"""The active model in this process: noticed within a second, loaded once, kept when its successor cannot be loaded."""

from dataclasses import asdict, dataclass
from threading import Lock
from time import monotonic

import structlog

from signals.models import ModelVersion
from signals.news import model_loaded, model_reload_failed
from signals.registry.artefacts import read_verified
from signals.registry.errors import ModelError, NoActiveModelError
from signals.registry.loading import LoadedModel, Parser, load, parse_booster
from signals.states import ModelStatus

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0


@dataclass(slots=True)
class _Place:
    """What this process knows of one strategy's model."""

    model: LoadedModel | None = None
    mark: tuple[int, str] | None = None
    """Id and signature of what `model` is."""
    looked_at: float = float("-inf")
    failed_mark: tuple[int, str] | None = None
    failure: str = ""
    retry_at: float = float("-inf")
    pause: float = FIRST_RETRY_SECONDS


class LiveModels:
    """The models one process holds. One query a strategy and second; nothing is read when nothing has changed."""

    def __init__(self, *, parse: Parser = parse_booster, look_seconds: float = LOOK_SECONDS) -> None:
        self._places: dict[str, _Place] = {}
        self._lock = Lock()
        self._parse = parse
        self._look_seconds = look_seconds

    def active_model(self, strategy: str) -> LoadedModel:
        """Return the model to score with now; the one before while the newest cannot be loaded.

        :raises NoActiveModelError: no version of the strategy is active
        :raises ModelError: the active one cannot be loaded and there is none before it
        """
        with self._lock:
            place = self._places.setdefault(strategy, _Place())
            if monotonic() - place.looked_at >= self._look_seconds:
                self._look(strategy, place)
            return self._answer(strategy, place)

    def reload(self, strategy: str) -> LoadedModel:
        """Look now, and try a load that failed once more without waiting for its turn. Raises as `active_model`."""
        with self._lock:
            place = self._places.setdefault(strategy, _Place())
            place.retry_at = float("-inf")
            self._look(strategy, place)
            return self._answer(strategy, place)

    def held(self, strategy: str) -> int | None:
        """Return the id of the version that this process has loaded."""
        place = self._places.get(strategy)
        return place.model.version_id if place and place.model else None

    def failure(self, strategy: str) -> str:
        """Return why this process does not use the newest activation; empty when it does."""
        place = self._places.get(strategy)
        return place.failure if place else ""

    def forget(self) -> None:
        """Let go of every model, as a new process would begin."""
        with self._lock:
            self._places.clear()

    def _look(self, strategy: str, place: _Place) -> None:
        mark = _mark(strategy)
        place.looked_at = monotonic()
        if mark is None:
            place.model, place.mark = None, None
        if mark is None or mark == place.mark:
            self._end_failure(strategy, place)
            return
        if mark == place.failed_mark and monotonic() < place.retry_at:
            return
        self._load(strategy, place, mark)

    def _end_failure(self, strategy: str, place: _Place) -> None:
        """What could not be loaded is not wanted any more: what this process uses is what is active."""
        if place.failed_mark is None:
            return
        place.failed_mark, place.failure = None, ""
        used = place.model and place.model.version_id
        model_loaded.send_robust(LiveModels, version_id=used, strategy=strategy)

    def _load(self, strategy: str, place: _Place, mark: tuple[int, str]) -> None:
        try:
            model = load(ModelVersion.objects.get(pk=mark[0]), parse=self._parse)
        except (ModelError, ModelVersion.DoesNotExist) as error:
            self._note_failure(strategy, place, mark, str(error))
            return
        before, place.model, place.mark = place.model, model, mark
        place.failed_mark, place.failure = None, ""
        log.info("model_loaded", strategy=strategy, version_id=mark[0], before=before and before.version_id)
        model_loaded.send_robust(LiveModels, version_id=mark[0], strategy=strategy)

    def _note_failure(self, strategy: str, place: _Place, mark: tuple[int, str], reason: str) -> None:
        again = mark == place.failed_mark
        place.pause = min(place.pause * 2, LONGEST_RETRY_SECONDS) if again else FIRST_RETRY_SECONDS
        place.failed_mark, place.failure, place.retry_at = mark, reason, monotonic() + place.pause
        kept = place.model and place.model.version_id
        log.error("model_reload_failed", strategy=strategy, version_id=mark[0], kept_id=kept, reason=reason)
        model_reload_failed.send_robust(LiveModels, version_id=mark[0], strategy=strategy, kept_id=kept, reason=reason)

    def _answer(self, strategy: str, place: _Place) -> LoadedModel:
        if place.model is not None:
            return place.model
        if place.failure:
            raise ModelError(f"{strategy}: the active model cannot be loaded: {place.failure}")
        raise NoActiveModelError(f"{strategy} has no active model: train one and activate it")


def _mark(strategy: str) -> tuple[int, str] | None:
    """Return id and signature of the active version. One query on the index that keeps it alone."""
    active = ModelVersion.objects.filter(strategy=strategy, status=ModelStatus.ACTIVE)
    return active.values_list("pk", "signature").first()


live_models = LiveModels()


def active_model(strategy: str) -> LoadedModel:
    """Return the model that this process scores a strategy with now. Raises as `LiveModels.active_model`."""
    return live_models.active_model(strategy)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found of a strategy: `unchanged`, `loaded`, `verified` (not used by this process) or `failed`."""

    strategy: str
    active_id: int
    used_id: int | None
    state: str
    detail: str = ""

    def as_dict(self) -> dict[str, str | int | None]:
        """Return it by name."""
        return asdict(self)


def look_now(models: LiveModels = live_models) -> list[Look]:
    """Look for the active version of every strategy at once; what this process does not use is verified, not loaded."""
    active = ModelVersion.objects.filter(status=ModelStatus.ACTIVE).order_by("strategy")
    return [_look_at(version, models) for version in active]


def _look_at(version: ModelVersion, models: LiveModels) -> Look:
    before = models.held(version.strategy)
    try:
        if before is None:
            read_verified(version)
            return Look(version.strategy, version.pk, None, "verified")
        used = models.reload(version.strategy).version_id
    except ModelError as error:
        return Look(version.strategy, version.pk, before, "failed", str(error))
    failure = models.failure(version.strategy)
    state = "failed" if failure else "unchanged" if used == before else "loaded"
    return Look(version.strategy, version.pk, used, state, failure)
