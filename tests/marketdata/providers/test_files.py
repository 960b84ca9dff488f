import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from marketdata.errors import FileFormatError
from marketdata.providers.files import FileProvider

HEADER = "symbol,date,open,high,low,close,volume"
ROW = "AAPL,2012-06-14,571.24,573.5,567.26,571.53,12341900"


def csv(tmp_path: Path, *lines: str, name: str = "bars.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


def refusal(path: Path, timeframe: str = "1d") -> str:
    with pytest.raises(FileFormatError) as caught:
        FileProvider(path, timeframe).bars()
    return str(caught.value)


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    frame = FileProvider(csv(tmp_path, HEADER, ROW)).bars()
    assert frame.rows() == [("AAPL", date(2012, 6, 14), 571.24, 573.5, 567.26, 571.53, 12341900.0)]


def test_names_of_columns_are_taken_as_sources_write_them(tmp_path: Path) -> None:
    path = csv(tmp_path, "Ticker, Date ,Open,High,Low,Close,Volume,Adj Close,Extra", ROW + ",74.5,x")
    assert FileProvider(path).bars().columns == [*HEADER.split(","), "adj_close"]


def test_a_packed_csv_and_a_parquet_file_are_read(tmp_path: Path) -> None:
    packed = tmp_path / "bars.csv.gz"
    packed.write_bytes(gzip.compress(f"{HEADER}\n{ROW}\n".encode()))
    frame = FileProvider(packed).bars()
    parquet = tmp_path / "bars.parquet"
    frame.with_columns(pl.col("volume").cast(pl.Int64)).write_parquet(parquet)
    assert FileProvider(parquet).bars().equals(frame)


def test_minute_bars_need_a_time_with_an_offset(tmp_path: Path) -> None:
    header = HEADER.replace("date", "timestamp")
    path = csv(tmp_path, header, ROW.replace("2012-06-14", "2012-06-14T09:30:00-04:00"))
    assert FileProvider(path, "1m").bars()["at"].to_list() == [datetime(2012, 6, 14, 13, 30, tzinfo=UTC)]


def test_a_file_can_be_cut_by_symbol_and_date(tmp_path: Path) -> None:
    path = csv(tmp_path, HEADER, ROW, ROW.replace("-14", "-15"), ROW.replace("AAPL", "IBM"))
    frame = FileProvider(path).bars(["AAPL"], date(2012, 6, 15), date(2012, 6, 15))
    assert frame.select("symbol", "date").rows() == [("AAPL", date(2012, 6, 15))]


def test_an_empty_value_is_left_to_the_quality_gate(tmp_path: Path) -> None:
    assert FileProvider(csv(tmp_path, HEADER, ROW.replace("571.24", ""))).bars()["open"].to_list() == [None]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (ROW.replace("571.24", "abc"), "line 3: column open: 'abc' is not allowed; a number is"),
        (
            ROW.replace("2012-06-14", "14.06.2012"),
            "line 3: column date: '14.06.2012' is not allowed; a date like 2012-06-14 is",
        ),
        (ROW.replace("2012-06-14", ""), "line 3: column date: nothing is not allowed; a date like 2012-06-14 is"),
        (ROW.replace("AAPL", " "), "line 3: column symbol: ' ' is not allowed; a symbol is"),
    ],
)
def test_an_error_names_file_line_column_value_and_what_is_allowed(tmp_path: Path, row: str, text: str) -> None:
    path = csv(tmp_path, HEADER, ROW, row)
    assert refusal(path) == f"{path}: {text}"


def test_an_error_in_a_parquet_file_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    values = dict(zip(HEADER.split(","), [["A", "B"], ["2012-06-14"] * 2, ["1", "x"], *[["1", "1"]] * 4], strict=True))
    pl.DataFrame(values).write_parquet(path)
    assert refusal(path) == f"{path}: row 2: column open: 'x' is not allowed; a number is"


def test_a_missing_or_repeated_column_is_named(tmp_path: Path) -> None:
    assert "no column close, volume; symbol, date, open, high, low are there" in refusal(
        csv(tmp_path, "symbol,date,open,high,low", "A,2012-06-14,1,1,1")
    )
    assert "column symbol is there twice" in refusal(csv(tmp_path, "symbol,ticker,date", "A,A,2012-06-14"))


def test_what_is_no_such_file_is_said_in_one_line(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "absent.csv")
    assert "a file ending in .csv" in refusal(tmp_path / "bars.xlsx")
    broken = tmp_path / "bars.parquet"
    broken.write_bytes(b"no parquet")
    text = refusal(broken)
    assert "cannot be read" in text
    assert "\n" not in text
