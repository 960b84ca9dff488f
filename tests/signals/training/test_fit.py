"""The same data, code, parameters and seed give the same bytes; nothing after the training moves them."""

import hashlib
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from signals.datasets import make_dataset, splits_of
from signals.parameters import BadParameter
from signals.progress import Cancelled
from signals.training import QLIB_PARAMETERS, parameters_for, train
from signals.training.errors import TrainingError
from tests.signals.panels import NAMES, QUICK, dataset, panel, sessions, trained

REPOSITORY = Path(__file__).resolve().parents[3]
ANOTHER_PROCESS = """
import hashlib
from tests.signals.panels import dataset, QUICK
from signals.training import train
for threads in (1, 2):
    print(hashlib.sha256(train(dataset(), parameters=QUICK, seed=7, threads=threads).text).hexdigest())
"""


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def test_another_process_trains_the_same_bytes():
    told = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert told.stdout.split()[-2:] == [digest(train(dataset(), parameters=QUICK, seed=7, threads=1).text)] * 2


def test_the_number_of_threads_changes_no_byte():
    made = dataset(days=400, symbols=30)
    texts = {train(made, parameters=QUICK, seed=7, threads=threads).text for threads in (1, 2, 3, 8)}
    assert len(texts) == 1


def test_another_seed_is_another_model():
    assert trained(seed=1).text != trained(seed=2).text


def shuffled_after(frame: pl.DataFrame, last: date, columns: list[str]) -> pl.DataFrame:
    """Return the frame with the values of later rows exchanged among each other."""
    early, late = frame.filter(pl.col("date") <= last), frame.filter(pl.col("date") > last)
    order = np.random.default_rng(3).permutation(late.height)
    return pl.concat([early, late.with_columns(late[columns][order])])


def test_shuffling_everything_after_the_train_end_changes_no_byte():
    """With a fixed number of trees; the validation decides only how many are kept."""
    features, bars = panel()
    splits = splits_of(sessions(240))
    fixed = {**QUICK, "early_stopping_rounds": 0}
    plain = make_dataset(features, bars, names=NAMES, feature_version="v", splits=splits)
    moved = make_dataset(
        shuffled_after(features, splits.train.end, list(NAMES)),
        shuffled_after(bars, splits.train.end, ["close"]),
        names=NAMES,
        feature_version="v",
        splits=splits,
    )
    assert not plain.part("valid").equals(moved.part("valid"))
    ours, theirs = (train(made, parameters=fixed, seed=7, threads=1) for made in (plain, moved))
    assert ours.text == theirs.text
    assert ours.data_hash != theirs.data_hash


def test_shuffling_everything_after_the_validation_changes_no_byte_of_a_stopped_training():
    features, bars = panel()
    splits = splits_of(sessions(240))
    plain = make_dataset(features, bars, names=NAMES, feature_version="v", splits=splits)
    moved = make_dataset(
        shuffled_after(features, splits.valid.end, list(NAMES)),
        shuffled_after(bars, splits.valid.end, ["close"]),
        names=NAMES,
        feature_version="v",
        splits=splits,
    )
    ours, theirs = (train(made, parameters=QUICK, seed=7, threads=1) for made in (plain, moved))
    assert ours.text == theirs.text
    assert ours.best_iteration < QUICK["num_boost_round"]
    assert ours.metrics["test"] != theirs.metrics["test"]


def test_shuffling_the_past_does_change_the_model():
    """The control: the two tests above would pass as well if nothing were learnt."""
    features, bars = panel()
    moved = shuffled_after(features, date(2009, 1, 1), list(NAMES))
    other = make_dataset(moved, bars, names=NAMES, feature_version="v")
    assert train(other, parameters=QUICK, seed=7, threads=1).text != train(dataset(), parameters=QUICK, seed=7).text


def test_what_can_be_learnt_is_learnt_and_measured_on_every_split():
    model = trained(days=400, symbols=20)
    for name in ("train", "valid", "test"):
        told = model.metrics[name]
        assert told["rank_ic"]["mean"] > 0.3
        assert told["rank_ic"]["days"] > 10
        assert told["top_minus_bottom"]["sharpe"] > 3
        assert set(told["ic_decay"]) == {"1", "2", "5", "10"}
        assert abs(told["ic_decay"]["10"]["mean"]) < told["ic_decay"]["1"]["mean"]
        assert 0 < told["turnover"]["mean"] <= 1
        means = [row["mean"] for row in told["quantiles"]]
        assert means[0] < means[-1]
    assert max(model.importance, key=lambda name: model.importance[name]["gain"]) == "F0"
    assert model.importance["F0"]["splits"] > 0


def test_data_that_teach_nothing_make_no_model():
    with pytest.raises(TrainingError, match="no tree ever split, all names would score alike"):
        trained(parameters={"lambda_l1": 1e6})


def test_qlibs_penalties_shrink_with_the_rows_and_never_grow():
    assert parameters_for(5_000)["lambda_l1"] == pytest.approx(QLIB_PARAMETERS["lambda_l1"] / 100, abs=1e-6)
    assert parameters_for(10_000_000)["lambda_l1"] == QLIB_PARAMETERS["lambda_l1"]
    assert parameters_for(500_000)["num_leaves"] == 210


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"learning_rate": 0}, "learning_rate = 0: allowed is a number from 0.0001 to 1"),
        ({"num_leaves": "many"}, "num_leaves = many: allowed is a whole number from 2 to 4096"),
        ({"input_model": "/etc/passwd"}, "input_model = /etc/passwd: allowed is only"),
        ({"objective": "binary"}, "objective = binary"),
    ],
)
def test_parameters_are_refused_by_name_value_and_what_is_allowed(given, told):
    with pytest.raises(BadParameter, match=told):
        train(dataset(), parameters=given, seed=1)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_out_of_bounds_is_refused(seed):
    with pytest.raises(TrainingError, match=f"seed: got {seed}"):
        trained(seed=seed)


def test_progress_is_told_and_a_cancel_ends_the_training():
    told: list[tuple[int, int, str]] = []

    def listen(done: int, total: int, what: str) -> None:
        told.append((done, total, what))
        if done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(dataset(), parameters=QUICK, seed=7, threads=1, on_progress=listen)
    assert [done for done, _, _ in told] == [0, 1, 2, 3]
    assert told[-1][2].startswith("tree 3, validation loss ")


def test_golden_rows_hold_what_was_missing_and_what_was_answered():
    golden = trained().golden
    assert len(golden["inputs"]) == len(golden["predictions"]) == 16
    assert all(len(row) == len(NAMES) for row in golden["inputs"])
    assert len(set(golden["predictions"])) > 1
