# SPDX-License-Identifier: Apache-2.0
"""The README keeps its promises: its example runs, its commands and pictures exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_readme_python_example_runs_and_prints_an_accuracy(tmp_path):
    (code,) = _blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    percent = float(re.search(r"test accuracy (\d+\.\d)%", done.stdout).group(1))
    assert percent > 70  # ten classes: chance is 10 %


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", "\n".join(_blocks("sh")), flags=re.MULTILINE))
def test_readme_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r'(?:\]\(|src="|srcset=")([^)"#:]+)[)"]', README))
def test_readme_local_link_exists(path):
    assert (ROOT / path).exists()
