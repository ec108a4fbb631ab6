# SPDX-License-Identifier: Apache-2.0
"""The command ``ohmscape``: in this process where that is enough, as a real command where it matters."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine import presets
from engine.errors import ParameterError
from explorer import cli, diagnosis, serving
from explorer.cli import commands, output
from explorer.cli.commands import serve
from explorer.labs import link
from explorer.labs.state import DeviceState

OHMSCAPE = [sys.executable, "-m", "explorer.cli"]


def run(*arguments: str, cwd: Path, **changes) -> subprocess.CompletedProcess:
    """Run the command as a shell does."""
    return subprocess.run([*OHMSCAPE, *arguments], cwd=cwd, capture_output=True, text=True, check=False, **changes)


# --- shape of the command -------------------------------------------------------------------------------------


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(["--help"])
    assert leaving.value.code == 0
    shown = capsys.readouterr().out
    assert {"doctor", "presets", "serve"} <= set(commands.found())
    assert all(name in shown for name in commands.found())


def test_help_imports_nothing_heavy(tmp_path):
    heavy = ("torch", "panel", "numpy", "param", "xarray", "distributed", "matplotlib")
    code = (
        "import sys; from explorer import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", sorted(commands.found()))
def test_command_help_names_common_options(name, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main([name, "--help"])
    assert leaving.value.code == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--json", "--seed", "--debug"))


@pytest.mark.parametrize("name", sorted(commands.found()))
def test_command_module_has_one_line_summary_and_docstring(name):
    module = commands.found()[name]
    assert "\n" not in module.SUMMARY
    assert module.__doc__.strip().endswith(".")


def test_version_is_printed(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ohmscape 0.")


def test_no_command_prints_help_and_fails(capsys):
    assert cli.main([]) == 2
    assert "COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["prsets"],
        ["presets", "--seed", "x"],
        ["serve", "--seed", "-1"],
        ["serve", "--port", "http"],
        ["serve", "--po", "1"],  # no abbreviations
    ],
)
def test_wrong_usage_is_one_line_with_status_2(arguments, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--help" in done.stderr


def test_error_of_a_user_is_one_line_with_status_1(tmp_path):
    done = run("presets", "ecram_li_201", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "Did you mean 'ecram_li_2018'" in line


def test_debug_shows_the_traceback_before_the_line(tmp_path):
    done = run("presets", "ecram_li_201", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("ohmscape: preset = ")


# --- output ---------------------------------------------------------------------------------------------------


def test_table_mixed_columns_align():
    text = output.table(("name", "value"), [("a", 1.0), ("long name", None), ("b", 123456.0)])
    assert text.splitlines() == [
        "name            value",
        "---------  ----------",
        "a                   1",
        "long name           -",
        "b          1.2346e+05",
    ]


def test_deliver_numbers_that_are_not_finite_become_null(tmp_path, capsys):
    output.deliver({"loss": [1.0, float("nan")], "w": {"max": float("inf")}}, "text", str(tmp_path / "a.json"))
    assert capsys.readouterr().out == "text\n"
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": [1.0, None], "w": {"max": None}}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]  # no temporary file is left


def test_deliver_to_standard_output_prints_json_alone(capsys):
    output.deliver({"a": 1}, "text", "-")
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_json_into_missing_folder_is_one_line_with_status_1(tmp_path, capsys):
    assert cli.main(["presets", "--json", str(tmp_path / "missing" / "x.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "No such file or directory" in line


def test_one_line_mistake_of_ours_asks_for_a_report():
    assert "--debug" in output.one_line(ZeroDivisionError("division by zero"))
    assert "--debug" not in output.one_line(ParameterError("x = 1: wrong.\n  Do that."))
    assert output.one_line(ParameterError("x = 1: wrong.\n  Do that.")) == "x = 1: wrong. Do that."
    assert "doctor" in output.one_line(ModuleNotFoundError("No module named 'panel'"))


# --- presets --------------------------------------------------------------------------------------------------


def test_presets_json_lists_every_preset(tmp_path):
    target = tmp_path / "presets.json"
    assert cli.main(["presets", "--json", str(target)]) == 0
    listed = json.loads(target.read_text())["presets"]
    assert [item["name"] for item in listed] == presets.names()
    ecram = next(item for item in listed if item["name"] == "ecram_li_2018")
    device = presets.load("ecram_li_2018")
    assert ecram["n_states"] == pytest.approx((device.w_max - device.w_min) / device.dw_min)
    assert ecram["device"] == "linear_step"


def test_presets_of_one_name_shows_every_parameter_with_unit_and_source(capsys):
    assert cli.main(["presets", "reram_exp_hfo2_2018", "--json", "-"]) == 0
    shown = json.loads(capsys.readouterr().out)
    values = {row["name"]: row["value"] for row in shown["parameters"]}
    assert values == presets.load("reram_exp_hfo2_2018").values()
    assert all(row["unit"] and row["source"] for row in shown["parameters"])


# --- doctor ---------------------------------------------------------------------------------------------------


def test_doctor_here_finds_nothing_to_repair(tmp_path):
    done = run("doctor", "--json", "d.json", cwd=tmp_path)
    found = json.loads((tmp_path / "d.json").read_text())
    assert done.returncode == 0, done.stdout
    assert found["healthy"] is True
    assert {item["topic"] for item in found["findings"]} >= {"ohmscape", "import names", "kernels", "torch", "GPU"}


@pytest.mark.parametrize("as_package", [False, True])
def test_doctor_users_own_engine_module_is_named(as_package, tmp_path):
    """A fresh Python in this folder would import the user's module, whatever this process has imported."""
    own = tmp_path / "engine" / "__init__.py" if as_package else tmp_path / "engine.py"
    own.parent.mkdir(exist_ok=True)
    own.write_text("power_w = 1\n")
    # An editable install answers before sys.path; -S leaves it out, as it is left out for users of a wheel.
    origin = diagnosis.origin_in_new_python("engine", tmp_path, flags=("-S",))
    assert origin == own.resolve()
    (finding,) = diagnosis.shadow_findings("engine", {origin})
    assert finding.status == "problem"
    assert str(own) in finding.text
    assert "Rename" in finding.remedy


def test_doctor_check_that_fails_becomes_a_problem(monkeypatch):
    def broken():
        raise RuntimeError("no\nluck")
        yield

    monkeypatch.setattr(diagnosis, "_torch", broken)
    findings = diagnosis.examine()
    (torch_finding,) = [finding for finding in findings if finding.topic == "torch"]
    assert torch_finding.status == "problem"
    assert torch_finding.text == "RuntimeError: no luck"
    assert any(finding.topic == "GPU" for finding in findings)  # the others are still there


def test_doctor_slower_instruction_set_is_a_note():
    info = {"isa_built": ["portable", "avx2", "avx512"], "isa_available": ["portable", "avx2"], "isa": "portable"}
    (finding,) = diagnosis.instruction_set_findings(info)
    assert finding.status == "note"
    assert finding.remedy.startswith("avx2 would be faster")


def test_doctor_best_instruction_set_is_ok():
    info = {"isa_built": ["portable", "avx2", "avx512"], "isa_available": ["portable", "avx2"], "isa": "avx2"}
    (finding,) = diagnosis.instruction_set_findings(info)
    assert finding.status == "ok"


@pytest.mark.parametrize(
    ("state", "status"),
    [("available", "ok"), ("no GPU", "ok"), ("not built", "ok"), ("GPU too old", "note"), ("no NVRTC", "note")],
)
def test_doctor_gpu_that_lies_idle_is_a_note_and_none_is_fine(state, status, monkeypatch):
    from engine.cuda import availability

    found = availability.Availability(state, "what was found", "What to do.")
    monkeypatch.setattr(availability, "availability", lambda: found)
    gpu, compiler = diagnosis._gpu()
    assert gpu.status == status
    assert gpu.text == f"{state}: what was found"
    assert gpu.remedy == ("What to do." if status == "note" else "")
    assert "NVRTC" in compiler.text or "cuda-bindings" in compiler.text


def test_doctor_says_which_compiler_for_gpus_is_missing(monkeypatch):
    from engine.cuda import compiler
    from engine.errors import CudaError

    def missing():
        raise CudaError("cuda-bindings: not installed (why). Install it: pip install 'ohmscape[cuda]'.")

    monkeypatch.setattr(compiler, "nvrtc_version", missing)
    (finding,) = diagnosis._gpu_compiler()
    assert finding.status == "ok"
    assert finding.text == "no kernels for GPUs can be compiled here: cuda-bindings: not installed (why)"


# --- serve ----------------------------------------------------------------------------------------------------


@pytest.fixture
def taken_port():
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_serve_port_in_use_is_one_line_that_names_the_remedy(taken_port, tmp_path):
    done = run("serve", "--port", str(taken_port), "--no-browser", cwd=tmp_path)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert f"serve.port = {taken_port}" in line
    assert "--port 0" in line


@pytest.mark.parametrize(("address", "port"), [("127.0.0.1", 65536), ("127.0.0.1", -1), ("203.0.113.7", 0)])
def test_check_port_impossible_target_raises(address, port):
    with pytest.raises(serving.ServingError):
        serving.check_port(address, port)


def test_serve_seed_becomes_a_link_that_the_device_lab_restores():
    state = DeviceState()
    assert link.restore(state, serve._first_query(7).removeprefix("state=")) == ""
    assert state.seed == 7
    assert serve._first_query(0) == ""


def test_apps_are_found_and_the_first_is_among_them():
    assert serving.FIRST in serving.apps()


def test_apps_none_found_names_the_places(monkeypatch, tmp_path):
    monkeypatch.setattr(serving, "PACKAGE", tmp_path / "explorer")
    with pytest.raises(serving.ServingError, match="looked in"):
        serving.apps()
