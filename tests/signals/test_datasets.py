"""Train, valid and test follow each other in time, and no label of one reaches into another."""

from datetime import date

import polars as pl
import pytest

from signals.datasets import SPLITS, DatasetError, Span, Splits, make_dataset, splits_of
from signals.labels import HORIZON, HORIZONS
from tests.signals.panels import NAMES, dataset, panel, sessions


def test_splits_follow_each_other_with_the_embargo_between():
    days = sessions(240)
    chosen = splits_of(days, embargo=5)
    index = {day: number for number, day in enumerate(days)}
    assert index[chosen.train.start] == 0
    assert index[chosen.valid.start] - index[chosen.train.end] == 6
    assert index[chosen.test.start] - index[chosen.valid.end] == 6
    assert chosen.test.end == days[-1]


@pytest.mark.parametrize("embargo", [2, 5, 20])
def test_no_label_reaches_over_the_edge_of_its_split(embargo):
    splits = splits_of(sessions(240), embargo=embargo)
    made = dataset(splits=splits)
    index = {day: number for number, day in enumerate(sessions(240))}
    for name, span in splits.spans().items():
        part = made.part(name)
        newest = max(index[day] for day in part["date"])
        assert part["date"].min() >= span.start
        assert newest + HORIZON == index[span.end]
        for held in HORIZONS:
            known = part.filter(pl.col(f"forward_{held}").is_not_null())
            assert max(index[day] for day in known["date"]) + 1 + held == index[span.end]


def test_the_labels_horizon_lies_inside_the_embargo():
    splits = splits_of(sessions(240), embargo=2)
    made = dataset(splits=splits)
    newest_train = made.part("train")["date"].max()
    between = [day for day in sessions(240) if newest_train < day < made.part("valid")["date"].min()]
    assert len(between) == 2 + HORIZON
    with pytest.raises(DatasetError, match="embargo: got 1 sessions, allowed are 2 or more"):
        splits_of(sessions(240), embargo=1)


def test_a_dataset_does_not_look_after_its_end():
    features, bars = panel(days=240)
    splits = splits_of(sessions(200))
    early = pl.col("date") <= splits.test.end
    whole = make_dataset(features, bars, names=NAMES, feature_version="v", splits=splits)
    cut = make_dataset(features.filter(early), bars.filter(early), names=NAMES, feature_version="v", splits=splits)
    for name in SPLITS:
        assert whole.part(name).equals(cut.part(name))


@pytest.mark.parametrize(
    ("train", "valid", "told"),
    [
        ((0, 100), (103, 150), "valid begins on .*, 2 sessions after train ends on .*; the embargo is 5"),
        ((0, 100), (90, 150), "valid begins on"),
        ((100, 0), (103, 150), "train: ends on"),
    ],
)
def test_splits_that_do_not_fit_are_refused(train, valid, told):
    days = sessions(240)
    spans = [Span(days[start], days[end]) for start, end in (train, valid, (180, 239))]
    with pytest.raises(DatasetError, match=told):
        dataset(splits=Splits(*spans))


def test_too_few_sessions_are_told_with_what_they_leave():
    with pytest.raises(DatasetError, match="40 sessions leave 18 for train, 6 for valid and 6 for test; each needs 10"):
        splits_of(sessions(40))


def test_what_is_missing_or_double_is_refused():
    features, bars = panel(days=240)
    with pytest.raises(DatasetError, match="1 columns are missing: F9"):
        make_dataset(features, bars, names=[*NAMES, "F9"], feature_version="v")
    with pytest.raises(DatasetError, match="two rows on one date"):
        make_dataset(pl.concat([features, features[:1]]), bars, names=NAMES, feature_version="v")


def test_one_name_alone_teaches_nothing():
    with pytest.raises(DatasetError, match="two names a day are needed"):
        make_dataset(*panel(days=240, symbols=1), names=NAMES, feature_version="v")


def test_the_hash_knows_every_feature_label_and_split():
    features, bars = panel(days=240)
    made = make_dataset(features, bars, names=NAMES, feature_version="v")
    again = make_dataset(features.reverse(), bars.reverse(), names=NAMES, feature_version="v")
    assert made.data_hash == again.data_hash
    changed = features.with_columns(F3=pl.when(pl.int_range(pl.len()) == 777).then(1e-9).otherwise(pl.col("F3")))
    assert make_dataset(changed, bars, names=NAMES, feature_version="v").data_hash != made.data_hash
    other = bars.with_columns(close=pl.when(pl.int_range(pl.len()) == 777).then(99.0).otherwise(pl.col("close")))
    assert make_dataset(features, other, names=NAMES, feature_version="v").data_hash != made.data_hash
    shifted = splits_of(sessions(240), embargo=6)
    assert make_dataset(features, bars, names=NAMES, feature_version="v", splits=shifted).data_hash != made.data_hash


def test_dates_and_rows_of_the_splits_are_told():
    told = dataset().described()
    assert told["embargo_sessions"] == 5
    assert told["train"]["start"] == date(2010, 1, 4).isoformat()
    assert told["train"]["rows"] == dataset().part("train").height
