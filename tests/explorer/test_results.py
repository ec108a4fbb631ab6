# SPDX-License-Identifier: Apache-2.0
"""Results: exact files, complete or absent runs, an index that heals."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from explorer import results
from explorer.experiments import Experiment
from explorer.results import CorruptRun, ResultError, SaveFailed, Store, UnknownRun, netcdf, store

ROOT = Path(__file__).parents[2]
PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture(scope="module")
def probe(plugin):
    import probe_experiments

    return probe_experiments


@pytest.fixture
def counting(probe):
    return probe.Counting(seed=1, steps=4)


def in_another_process(code: str, site: Path, home: Path) -> subprocess.Popen:
    path = os.pathsep.join([str(ROOT), str(PLUGIN), str(site)])
    env = {**os.environ, "PYTHONPATH": path, "OHMSCAPE_HOME": str(home)}
    return subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, text=True)


def test_save_and_load_return_the_identical_dataset(home, counting):
    ds = counting.run()
    info = results.save(ds, counting, label="first")
    back = results.load(info.run_id)
    xr.testing.assert_identical(back, ds)
    assert back.w.attrs == {"units": "w", "stuck": False}
    assert back.w.attrs["stuck"] is False
    assert back.up.dtype == bool
    assert back.wait.dtype == np.float64  # a variable in seconds is no timedelta
    assert list(back.name.values) == ["s0", "s1", "s2", "s3"]
    assert type(back.attrs["seed"]) is int


def test_save_returns_what_is_known_of_the_run(home, counting):
    ds = counting.run()
    info = results.save(ds, counting, label="first", job_id="abc")
    assert (info.experiment_class, info.label, info.job_id, info.seed) == ("Counting", "first", "abc", 1)
    assert Experiment.from_dict(info.experiment) == counting
    assert info.content_id == counting.content_id
    assert info.folder.parent == home / "runs"
    assert info.size_bytes == (info.folder / "data.nc").stat().st_size
    assert results.info(info.run_id) == info


def test_save_same_result_twice_keeps_one_run(home, counting):
    ds = counting.run()
    assert results.save(ds, counting) == results.save(ds, counting)
    assert len(results.listing()) == 1


def test_save_second_run_of_equal_experiment_is_a_run_of_its_own(home, counting):
    one, two = (results.save(counting.run(), counting) for _ in range(2))
    assert one.run_id != two.run_id
    assert one.content_id == two.content_id
    assert {i.run_id for i in results.listing()} == {one.run_id, two.run_id}


def test_save_over_a_damaged_copy_of_itself_repairs_it(home, counting):
    ds = counting.run()
    info = results.save(ds, counting)
    (info.folder / "data.nc").write_bytes(b"damaged")
    results.save(ds, counting)
    xr.testing.assert_identical(results.load(info.run_id), ds)


def test_save_dataset_of_other_parameters_is_refused(home, counting):
    ds = counting.run()
    counting.seed = 2
    with pytest.raises(ResultError, match="other parameters"):
        results.save(ds, counting)
    assert results.listing() == []


def test_save_dataset_without_provenance_is_refused(home, counting):
    with pytest.raises(ResultError, match="no provenance"):
        results.save(xr.Dataset({"w": ("n", [1.0])}), counting)


attributes = st.dictionaries(
    st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True),
    st.one_of(
        st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        st.booleans(),
        st.none(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.lists(st.one_of(st.integers(), st.booleans(), st.text(alphabet="abcµ"))),
        st.dictionaries(st.text(alphabet="ab"), st.booleans()),
    ),
    max_size=4,
)
arrays = hnp.arrays(
    dtype=st.sampled_from(["f4", "f8", "f2", "i1", "u1", "i4", "i8", "u8", "bool", "U5"]),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    elements=None,
)


def no_zero_characters(values: np.ndarray) -> np.ndarray:
    """HDF5 text ends at a zero character and holds no lone surrogates; neither occurs in names of layers."""
    if values.dtype.kind != "U":
        return values
    keep = np.array([bytes(v, "utf-8", "ignore").replace(b"\0", b"").decode() for v in values.flat], dtype="U5")
    return keep.reshape(values.shape)


@settings(deadline=None, max_examples=60)  # each example writes a file
@given(values=arrays, attrs=attributes, variable_attrs=attributes)
def test_netcdf_any_array_and_attributes_come_back_identical(values, attrs, variable_attrs):
    values = no_zero_characters(values)
    dims = [f"d{i}" for i in range(values.ndim)]
    ds = xr.Dataset({"x": (dims, values, {"units": "seconds", **variable_attrs})}, attrs=attrs)
    back = netcdf.from_bytes(netcdf.to_bytes(ds))
    assert back.x.dims == ds.x.dims
    assert back.x.dtype.kind == ds.x.dtype.kind
    np.testing.assert_array_equal(back.x.values, ds.x.values)
    assert back.attrs == attrs
    assert back.x.attrs == ds.x.attrs
    assert all(type(back.attrs[k]) is type(attrs[k]) for k in attrs)


@pytest.mark.parametrize(
    "values",
    [np.array([1 + 2j]), np.array([1, None], object), np.array([1], "m8[s]"), np.array([b"a"])],
    ids=["complex", "mixed", "duration", "bytes"],
)
def test_netcdf_type_the_file_cannot_hold_is_named(values):
    with pytest.raises(ResultError, match=r"x.dtype"):
        netcdf.to_bytes(xr.Dataset({"x": ("n", values)}))


def test_netcdf_attribute_that_cannot_be_written_is_named():
    with pytest.raises(ResultError, match=r"x.attrs"):
        netcdf.to_bytes(xr.Dataset({"x": ("n", [1.0], {"thing": object()})}))


def test_load_changed_file_says_corrupt(home, counting):
    info = results.save(counting.run(), counting)
    data = bytearray((info.folder / "data.nc").read_bytes())
    data[len(data) // 2] ^= 1
    (info.folder / "data.nc").write_bytes(data)
    with pytest.raises(CorruptRun, match=f"not the file that was written.*{info.run_id}"):
        results.load(info.run_id)


@pytest.mark.parametrize("name", ["data.nc", "run.json"])
def test_load_missing_file_says_which(home, counting, name):
    info = results.save(counting.run(), counting)
    (info.folder / name).unlink()
    with pytest.raises(CorruptRun, match=name.replace(".", r"\.")):
        results.load(info.run_id)


def test_load_unknown_run_names_near_misses(home, counting):
    known = results.save(counting.run(), counting).run_id
    wrong = known[:-1] + ("0" if known[-1] != "0" else "1")
    with pytest.raises(UnknownRun, match=known):
        results.load(wrong)


@pytest.mark.parametrize("run_id", ["../../etc", "", "/etc/passwd", "x" * 21, "0" * 12 + "-" + "0" * 8])
def test_load_anything_else_is_no_path(home, counting, run_id):
    results.save(counting.run(), counting)
    with pytest.raises(UnknownRun):
        results.load(run_id)


def test_listing_newest_first_with_filters_and_limit(home, probe):
    saved = []
    for seed in range(3):
        experiment = probe.Counting(seed=seed)
        saved.append(results.save(experiment.run(), experiment, label="odd" if seed == 1 else "even"))
    assert [i.seed for i in results.listing()] == [2, 1, 0]
    assert [i.seed for i in results.listing(label="even")] == [2, 0]
    assert [i.seed for i in results.listing(limit=1)] == [2]
    assert results.listing(experiment_class="Deaf") == []
    assert results.listing()[0] == saved[2]


def test_listing_without_any_run_is_empty_and_writes_nothing(home):
    assert results.listing() == []
    assert not home.exists()


def test_find_returns_the_newest_run_of_an_equal_experiment(home, counting, probe):
    assert results.find(counting) is None
    results.save(counting.run(), counting)
    newest = results.save(counting.run(), counting)
    assert results.find(probe.Counting(seed=1, steps=4)) == newest
    assert results.find(probe.Counting(seed=2, steps=4)) is None


def test_delete_removes_folder_and_record(home, counting):
    info = results.save(counting.run(), counting)
    results.delete(info.run_id)
    assert results.listing() == []
    assert not info.folder.exists()
    with pytest.raises(UnknownRun):
        results.delete(info.run_id)


def test_delete_corrupt_run_works(home, counting):
    info = results.save(counting.run(), counting)
    (info.folder / "run.json").write_text("{")
    results.delete(info.run_id)
    assert not info.folder.exists()


@pytest.mark.parametrize("damage", ["missing", "text", "truncated", "other_tables", "stale", "gone"])
def test_listing_damaged_index_is_rebuilt_from_the_folders(home, probe, damage):
    saved = []
    for seed in range(2):
        experiment = probe.Counting(seed=seed)
        saved.append(results.save(experiment.run(), experiment))
    expected = results.listing()
    index = home / "runs" / "index.sqlite"
    if damage == "missing":
        index.unlink()
    elif damage == "text":
        index.write_text("this is no database, and it is long enough to be told from an empty file\n" * 50)
    elif damage == "truncated":
        index.write_bytes(index.read_bytes()[:5000])
    elif damage == "other_tables":
        with sqlite3.connect(index) as db:
            db.execute("DROP TABLE runs")
        db.close()
    elif damage == "stale":
        store.Index(index).remove([saved[0].run_id])
    else:
        ghost = {**saved[0].to_record(), "run_id": "0" * 12 + "-" + "0" * 8}
        store.Index(index).add([ghost])
    assert results.listing() == expected
    assert sorted(i.run_id for i in expected) == sorted(i.run_id for i in saved)


def test_listing_with_an_unreadable_run_warns_and_lists_the_others(home, probe):
    good, bad = probe.Counting(seed=1), probe.Counting(seed=2)
    kept = results.save(good.run(), good)
    broken = results.save(bad.run(), bad)
    (broken.folder / "run.json").write_text("{")
    (home / "runs" / "index.sqlite").unlink()
    with pytest.warns(UserWarning, match=broken.run_id):
        assert results.listing() == [kept]


KILLED_BEFORE_RENAME = """
import os, signal
from explorer import results
from probe_experiments import Counting
results.Store._publish = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
experiment = Counting(steps=3)
results.save(experiment.run(), experiment)
"""


def test_save_killed_between_write_and_rename_leaves_no_half_run(home, plugin, counting):
    process = in_another_process(KILLED_BEFORE_RENAME, plugin, home)
    assert process.wait(60) == -signal.SIGKILL, process.stderr.read()
    process.stderr.close()
    left = [p for p in (home / "runs").iterdir() if p.is_dir()]
    assert len(left) == 1  # written in full, and out of sight
    assert (left[0] / "data.nc").stat().st_size > 0
    assert results.listing() == []
    day_before = left[0].stat().st_mtime - 2 * 24 * 3600
    os.utime(left[0], (day_before, day_before))
    results.save(counting.run(), counting)
    assert not left[0].exists()  # swept up a day later
    assert len(results.listing()) == 1


SAVE_TEN = """
from explorer import results
from probe_experiments import Counting
for seed in range({first}, {first} + 10):
    experiment = Counting(seed=seed)
    results.save(experiment.run(), experiment)
    assert any(i.seed == seed for i in results.listing())
"""


def test_save_from_several_processes_at_once_lists_every_run(home, plugin):
    codes = [SAVE_TEN.format(first=10 * k) for k in range(3)]
    processes = [in_another_process(code, plugin, home) for code in codes]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert sorted(i.seed for i in results.listing()) == list(range(30))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_save_full_disk_says_so_and_leaves_nothing(home, counting, monkeypatch, code):
    def full(path, data):
        path.write_bytes(data[:10])
        raise OSError(code, os.strerror(code))

    ds = counting.run()
    with monkeypatch.context() as patch:
        patch.setattr(store, "_write_file", full)
        with pytest.raises(SaveFailed, match=r"disk is full.*Free space.*OHMSCAPE_HOME") as caught:
            results.save(ds, counting)
    assert "\n" not in str(caught.value)
    assert list((home / "runs").iterdir()) == []
    info = results.save(ds, counting)  # the dataset in memory is untouched
    xr.testing.assert_identical(results.load(info.run_id), ds)


def test_save_full_disk_for_the_index_only_keeps_the_run(home, counting, monkeypatch):
    def full(self, records):
        raise ResultError("results.index: no space")

    with monkeypatch.context() as patch:
        patch.setattr(store.Index, "add", full)
        info = results.save(counting.run(), counting)
    assert results.listing() == [info]


def test_save_folder_that_cannot_be_written_says_so(tmp_path, monkeypatch, counting):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("OHMSCAPE_HOME", str(tmp_path / "file"))
    with pytest.raises(SaveFailed, match="cannot be written"):
        results.save(counting.run(), counting)


def test_home_without_variable_is_the_users_data_folder(monkeypatch):
    monkeypatch.delenv("OHMSCAPE_HOME")
    assert results.home().name == "ohmscape"


def test_store_below_any_folder_is_independent(tmp_path, home, counting):
    other = Store(tmp_path / "other")
    info = other.save(counting.run(), counting)
    assert results.listing() == []
    assert other.listing() == [info]
