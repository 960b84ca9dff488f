"""A page that applies the changes shows what a page that was loaded anew shows."""

from hypothesis import given
from hypothesis import strategies as st

from ops_console.snapshot.board import Cell, Topic, board_changes

KEYS = st.sampled_from(["a", "b", "c", "d"])
TEXTS = st.sampled_from(["1", "2", "3"])
TOPICS = st.builds(
    Topic,
    cells=st.fixed_dictionaries({"x": TEXTS.map(Cell), "y": TEXTS.map(Cell)}),
    rows=st.dictionaries(KEYS, TEXTS),
    html=TEXTS,
)


def test_what_did_not_change_is_not_sent() -> None:
    topic = Topic(cells={"x": Cell("1")}, rows={"a": "<tr>"}, html="<p>")
    assert topic.changes_since(Topic(cells={"x": Cell("1")}, rows={"a": "<tr>"}, html="<p>")) == {}
    assert board_changes({"t": topic}, {"t": topic}) == {}


def test_a_row_that_went_is_told_by_the_order() -> None:
    older, newer = Topic(rows={"a": "1", "b": "2"}), Topic(rows={"b": "2"})
    assert newer.changes_since(older) == {"rows": {}, "order": ["b"]}


@given(TOPICS, TOPICS)
def test_older_with_changes_is_newer(older: Topic, newer: Topic) -> None:
    data = newer.changes_since(older)
    known = {**(older.rows or {}), **data.get("rows", {})}
    order = data.get("order", list(older.rows or {}))
    assert {**older.cells, **data.get("cells", {})} == newer.cells
    assert [(key, known[key]) for key in order] == list((newer.rows or {}).items())
    assert data.get("html", older.html) == newer.html
