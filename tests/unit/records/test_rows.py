"""Rows of a table by their positions."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

from posologie.records.tables import TableRows

OPTIONS = [[f"option {number}", "é" * (number % 3)] for number in range(1000)]
SCHEMA = pa.schema({"id": pa.string(), "options": pa.list_(pa.string())})
TABLE = pa.concat_tables(
    [
        pa.table({"id": [str(number) for number in part], "options": [OPTIONS[number] for number in part]}, SCHEMA)
        for part in (range(0), range(10), range(10, 700), range(700, 1000))
    ]
)


def test_rows_come_in_the_order_of_their_positions_across_chunks() -> None:
    positions = np.array([999, 0, 9, 10, 700, 699, 0])
    assert TableRows(TABLE).at(positions).to_pylist() == TABLE.take(pa.array(positions)).to_pylist()


def test_no_rows_have_the_tables_columns() -> None:
    assert TableRows(TABLE).at(np.empty(0, dtype=np.int64)).schema == TABLE.schema


@pytest.mark.parametrize("position", [-1, 1000])
def test_a_position_outside_the_table_is_an_error(position: int) -> None:
    with pytest.raises(IndexError):
        TableRows(TABLE).at(np.array([5, position]))


def test_rows_sent_to_another_process_take_no_other_rows_along() -> None:
    few = TableRows(TABLE).at(np.arange(500, 510))
    assert few.num_rows == 10
    assert len(pickle.dumps(few)) < 2_000
    assert len(pickle.dumps(TABLE.slice(500, 10))) > 10_000
