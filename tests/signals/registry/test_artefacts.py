"""No byte of a model reaches the parser before it is known to be the byte that was signed."""

import hashlib
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from django.db import IntegrityError, transaction

from signals.models import ModelVersion
from signals.registry import ArtefactError, SigningKeyError, activate, load, store
from signals.registry.artefacts import LARGEST_BYTES, path_of, read_verified, write
from signals.registry.loading import parse_booster
from signals.registry.signing import canonical, signature_of
from tests.signals.panels import NAMES, dataset
from tests.signals.registry.candidates import NOW, REASON, stored, tiny

pytestmark = pytest.mark.django_db


class Spy:
    """A parser that counts what reaches it."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, content: bytes) -> Any:
        self.calls += 1
        return parse_booster(content)


def test_a_stored_model_predicts_what_the_trained_one_did():
    version = stored()
    spy = Spy()
    model = load(version, parse=spy)
    assert spy.calls == 1
    golden = version.golden
    assert list(model.predict_rows(np.array(golden["inputs"], dtype=float))) == pytest.approx(golden["predictions"])
    frame = dataset().part("test")
    assert len(model.predict(frame)) == frame.height
    assert model.features == NAMES


def test_none_of_the_flipped_bits_reaches_the_parser():
    """Of both ends and of 400 places between them; of every byte in `make soak`."""
    version, spy, generator = stored(), Spy(), random.Random(11)
    path = path_of(version)
    whole = path.read_bytes()
    places = [*range(50), *generator.sample(range(50, len(whole) - 50), 400), *range(len(whole) - 50, len(whole))]
    for position in range(len(whole)) if os.environ.get("SOAK_N") else places:
        altered = bytearray(whole)
        altered[position] ^= 1 << generator.randrange(8)
        path.write_bytes(altered)
        with pytest.raises(ArtefactError, match="the file was altered"):
            load(version, parse=spy)
    assert spy.calls == 0
    assert len(whole) > 1_000
    path.write_bytes(whole)
    load(version, parse=spy)
    assert spy.calls == 1


def test_a_file_whose_digest_was_altered_as_well_does_not_fit_the_signature():
    version, spy = stored(), Spy()
    path = path_of(version)
    altered = path.read_bytes().replace(b"num_leaves=", b"num_leaves=", 1)[:-1] + b"!"
    version.sha256 = hashlib.sha256(altered).hexdigest()
    path_of(version).write_bytes(altered)
    with pytest.raises(ArtefactError, match="the signature does not fit file, features and key"):
        load(version, parse=spy)
    assert spy.calls == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strategy", "momentum"),
        ("number", 2),
        ("features", ["F1", "F0", "F2", "F3"]),
        ("feature_version", "ba9876543210"),
        ("code_version", "ba9876543210"),
        ("data_hash", "0" * 64),
        ("identity", "0" * 64),
        ("parameters", {"num_leaves": 9}),
        ("seed", 8),
        ("rounds", 9),
        ("golden", {"inputs": [], "predictions": []}),
        ("signature", "0" * 64),
    ],
)
def test_what_is_said_of_the_bytes_is_signed_too(name, value):
    version, spy = stored(), Spy()
    whole = path_of(version).read_bytes()
    setattr(version, name, value)
    path_of(version).parent.mkdir(exist_ok=True)
    path_of(version).write_bytes(whole)
    with pytest.raises(ArtefactError, match="the signature does not fit"):
        load(version, parse=spy)
    assert spy.calls == 0


def test_another_key_does_not_fit(settings):
    version, spy = stored(), Spy()
    settings.MODEL_SIGNING_KEY = "x" * 40
    with pytest.raises(ArtefactError, match="the signature does not fit"):
        load(version, parse=spy)
    settings.MODEL_SIGNING_KEY = ""
    with pytest.raises(SigningKeyError, match="MODEL_SIGNING_KEY is not set"):
        load(version, parse=spy)
    assert spy.calls == 0


def test_an_unsigned_model_is_neither_loaded_nor_activated():
    signed = stored()
    unsigned = ModelVersion.objects.create(
        **{
            field.name: getattr(signed, field.name)
            for field in ModelVersion._meta.concrete_fields
            if field.name not in {"id", "number", "identity", "signature"}
        },
        number=9,
        identity="0" * 64,
    )
    write(unsigned, path_of(signed).read_bytes())
    spy = Spy()
    with pytest.raises(ArtefactError, match="is not signed"):
        load(unsigned, parse=spy)
    with pytest.raises(ArtefactError, match="is not signed"):
        activate(unsigned.pk, actor="olga", reason=REASON, now=NOW)
    with pytest.raises(IntegrityError, match="modelversion_signed_in_use"), transaction.atomic():
        ModelVersion.objects.filter(pk=unsigned.pk).update(status="active")
    assert spy.calls == 0


def test_a_shortened_or_lengthened_file_is_refused_by_its_size():
    version, spy = stored(), Spy()
    whole = path_of(version).read_bytes()
    for content in (whole[:-1], whole[: len(whole) // 2], b"", whole + b"\n"):
        path_of(version).write_bytes(content)
        with pytest.raises(ArtefactError, match=f"{len(content)} bytes where {len(whole)} were stored"):
            load(version, parse=spy)
    assert spy.calls == 0


def test_a_missing_file_is_told_with_what_helps():
    version = stored()
    path_of(version).unlink()
    with pytest.raises(ArtefactError, match=r"is missing: copy it back, or activate another version"):
        load(version)


def test_too_large_a_size_is_refused_before_anything_is_opened():
    version = stored()
    version.size_bytes = LARGEST_BYTES + 1
    with pytest.raises(ArtefactError, match=f"allowed are 1 to {LARGEST_BYTES}"):
        read_verified(version)
    with pytest.raises(ArtefactError, match="model file: got 0 bytes"):
        write(version, b"")


def test_links_folders_and_pipes_are_no_model_files(tmp_path: Path):
    version = stored()
    path = path_of(version)
    elsewhere = tmp_path / "elsewhere.txt"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(ArtefactError, match="cannot be opened"):
        load(version)
    path.unlink()
    path.mkdir()
    with pytest.raises(ArtefactError, match="is no plain file"):
        load(version)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ArtefactError, match="is no plain file"):
        load(version)


def test_a_writer_that_dies_leaves_the_file_as_it_was(monkeypatch):
    version = stored()
    whole = path_of(version).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtefactError, match="cannot be written: No space left on device"):
        write(version, b"half a file")
    assert path_of(version).read_bytes() == whole
    assert list(path_of(version).parent.iterdir()) == [path_of(version)]


def test_a_model_that_answers_otherwise_than_in_training_is_refused():
    version = stored()
    content = path_of(version).read_bytes()
    version.golden = {**version.golden, "predictions": [*version.golden["predictions"][:-1], 0.5]}
    version.signature = signature_of(version, content)
    with pytest.raises(ArtefactError, match=r"golden row 15 gives .*, in training it gave 0\.5"):
        load(version)
    version.golden = {"inputs": [], "predictions": []}
    version.signature = signature_of(version, content)
    with pytest.raises(ArtefactError, match="has no golden rows"):
        load(version)


def test_the_files_features_must_be_the_stored_ones():
    version = stored()
    version.features = ["F1", "F0", "F2", "F3"]
    version.signature = signature_of(version, path_of(version).read_bytes())
    with pytest.raises(ArtefactError, match="features are not the 4 stored"):
        load(version)


def test_a_signed_text_that_is_no_model_is_told():
    version = stored()
    content = b"tree\nthis is no model\n"
    version.sha256, version.size_bytes = hashlib.sha256(content).hexdigest(), len(content)
    version.signature = signature_of(version, content)
    write(version, content)
    with pytest.raises(ArtefactError, match="no LightGBM model"):
        load(version)


def test_features_that_are_missing_from_a_frame_are_named():
    model = load(stored())
    with pytest.raises(ValueError, match="wants 2 features that are missing: F2, F3"):
        model.predict(pl.DataFrame({"F0": [1.0], "F1": [2.0]}))
    assert len(model.predict(pl.DataFrame({name: [] for name in NAMES}))) == 0


def test_the_same_training_is_the_same_version():
    first, second = stored(), stored()
    assert first.pk == second.pk
    assert stored(seed=8).number == 2
    assert stored("momentum").number == 1


def test_what_was_trained_cannot_be_changed_afterwards():
    version = stored()
    with pytest.raises(IntegrityError, match="only status and signature of a model change"), transaction.atomic():
        ModelVersion.objects.filter(pk=version.pk).update(metrics={"test": {"rank_ic": {"mean": 1}}})
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        version.events.update(operator="somebody else")


def test_a_training_whose_file_cannot_be_written_registers_nothing(model_folder):
    model_folder.parent.mkdir(exist_ok=True)
    model_folder.write_text("in the way")
    with pytest.raises(ArtefactError, match="cannot be written"):
        store(strategy="alpha_baseline", trained=tiny(), created_by="maker", now=NOW)
    assert not ModelVersion.objects.exists()


def test_numbers_are_signed_by_their_value_not_by_their_form():
    assert canonical({"b": 1e16, "a": [1, None, True]}) == canonical({"a": [1.0, None, True], "b": 10**16})
    assert canonical({"a": 1}) != canonical({"a": True})
    assert canonical({"a": 0.1}) != canonical({"a": 0.1 + 1e-16 * 2})
