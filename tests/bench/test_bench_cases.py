# SPDX-License-Identifier: Apache-2.0
"""Which rows a command runs."""

import json

import pytest

from bench import operations
from bench.__main__ import cases, disagreeing, parsed, write
from bench.cases import Case, Rows
from bench.operation import Operation

ROWS = Rows(device=("a", "b"), shape=(2, 3), batch=4, bl=5, threads=(1, 2), variant=("x",))


def test_rows_give_every_combination_threads_fastest():
    rows = [(c.device, c.variant, c.threads) for c in ROWS.cases("op")]
    assert rows == [("a", "x", 1), ("a", "x", 2), ("b", "x", 1), ("b", "x", 2)]


def test_rows_narrowed_by_none_stay():
    assert ROWS.narrowed(device=None, threads=(2,)).cases("op") == [
        Case("op", "a", (2, 3), 4, 5, 2, "x"),
        Case("op", "b", (2, 3), 4, 5, 2, "x"),
    ]


def test_case_record_goes_through_json():
    record = Case("update", "soft_bounds", (512, 256), 64, 31, 2, "dense").record()
    assert json.loads(json.dumps(record)) == record
    assert record["shape"] == [512, 256]


def test_command_line_of_one_row_gives_that_row():
    words = "--op update --device soft_bounds --shape 512 256 --batch 64 --threads 2 --variant sparse"
    options = parsed(words.split())
    assert cases("update", options) == [Case("update", "soft_bounds", (512, 256), 64, 31, 2, "sparse")]


def test_command_line_without_words_runs_every_operation():
    assert parsed([]).op == operations.names()
    assert {"update", "response", "forward", "backward", "construct", "memory"} <= set(operations.names())


@pytest.mark.parametrize("name", operations.names())
def test_operation_module_holds_one_operation_with_rows(name):
    operation = operations.get(name)
    assert issubclass(operation, Operation)
    assert operation.rows.cases(name)


def test_operation_unknown_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"op = 'updates': unknown \(allowed: .*update.*\)"):
        operations.get("updates")


def test_command_line_too_few_repeats_is_refused(capsys):
    with pytest.raises(SystemExit):
        parsed(["--repeats", "3"])
    assert "--repeats = 3" in capsys.readouterr().err


def test_command_line_peer_that_is_not_there_is_refused(capsys, tmp_path):
    with pytest.raises(SystemExit):
        parsed(["--peer", "--peer-python", str(tmp_path / "python")])
    assert "make bench-peer" in capsys.readouterr().err


def test_command_line_peer_is_used_where_there_is_one(tmp_path):
    python = tmp_path / "python"
    assert parsed(["--peer-python", str(python)]).peer is False
    python.touch()
    assert parsed(["--peer-python", str(python)]).peer is True
    assert parsed(["--no-peer", "--peer-python", str(python)]).peer is False


def test_disagreeing_names_row_and_check_and_passes_over_unknown():
    row = {"op": "update", "device": "d", "variant": "v", "threads": 1}
    rows = [row | {"mean_agrees": None}, row | {"mean_agrees": True, "variance_agrees": False}]
    assert disagreeing(rows) == ["update d v 1 threads: variance_agrees is false"]


def test_write_makes_folder_and_a_list_of_records(tmp_path, capsys):
    file = tmp_path / "new" / "a.json"
    write([{"op": "x"}], parsed(["--json", str(file)]))
    assert json.loads(file.read_text()) == [{"op": "x"}]
    assert str(file) in capsys.readouterr().out
