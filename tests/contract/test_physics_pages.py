# SPDX-License-Identifier: Apache-2.0
"""The physics pages keep up with the code: sections that code names exist, parameters and defaults are the code's."""

import re
from pathlib import Path

import pytest

from engine import devices
from engine.nn import WeightClip, WeightRemap
from engine.tiles import InputRangeParameters, IOParameters, MappingParameters, UpdateParameters

ROOT = Path(__file__).resolve().parents[2]
PAGES = {p.name: p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs" / "physics").glob("*.md"))}
REFERENCE = re.compile(r"docs/physics/(\w+\.md)(?:, (?:section )?(Q\d+|\d+(?:\.\d+)?))?")
SUFFIXES = {".py", ".h", ".cpp", ".toml", ".md"}


def references() -> list[tuple[str, str, str]]:
    found = set()
    for folder in ("engine", "explorer", "apps", "tests", "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                text = " ".join(path.read_text(encoding="utf-8").split())
                found |= {(page, place, path.name) for page, place in REFERENCE.findall(text)}
    return sorted(found)


def anchors(page: str) -> set[str]:
    """Return the numbers of a page's sections and of its Q rows."""
    numbered = re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", page, flags=re.MULTILINE)
    return set(numbered) | set(re.findall(r"^\| (Q\d+) \|", page, flags=re.MULTILINE))


def test_pages_are_found_and_referred_to():
    assert {"devices.md", "tile.md"} <= set(PAGES)
    assert len(references()) > 5
    assert len(re.findall(r"^### 3\.\d .*\(`\w+`\)$", PAGES["devices.md"], flags=re.MULTILINE)) >= 6


@pytest.mark.parametrize(("page", "place", "source"), references())
def test_reference_from_the_code_resolves(page, place, source):
    assert page in PAGES
    assert not place or place in anchors(PAGES[page])


@pytest.mark.parametrize("text", PAGES.values(), ids=PAGES.keys())
def test_reference_between_the_pages_and_to_files_resolves(text):
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / "docs" / "physics" / target).exists(), target
    for path in re.findall(r"`((?:engine|tests|explorer)/[\w/]+\.\w+)`", text):
        assert (ROOT / path).exists(), path
    for section in re.findall(r"\bsections? (\d+(?:\.\d+)?)", text):
        assert section in anchors(PAGES["devices.md"]), section


@pytest.mark.parametrize(
    ("page", "cls"),
    [("devices.md", devices.get(s)) for s in devices.names() if f"(`{s}`)" in PAGES["devices.md"]]
    + [("devices.md", UpdateParameters), ("tile.md", IOParameters)]
    + [("layers.md", c) for c in (MappingParameters, InputRangeParameters, WeightRemap, WeightClip)],
)
def test_page_tells_every_parameter_of_the_class(page, cls):
    for name in cls.fields():
        assert f"`{name}`" in PAGES[page] or re.search(rf"\b{name}\b", PAGES[page]), name


def number(text: str) -> float:
    top, _, bottom = text.partition("/")
    return float(top) / float(bottom or 1)


def rows(page: str) -> dict[str, str]:
    """Return parameter name to default of the tables ``| name | default | allowed | meaning |``."""
    found = {}
    for line in PAGES[page].splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        names = re.findall(r"`(\w+)`", cells[0]) if len(cells) == 4 else []
        values = re.split(r", ", cells[1].replace("−", "-")) if names else []
        if values and not any("`" in v for v in values):
            found |= dict(zip(names, values * len(names) if len(values) == 1 else values, strict=False))
    return found


@pytest.mark.parametrize(
    ("page", "cls"),
    [("devices.md", devices.get("constant_step")), ("devices.md", UpdateParameters), ("tile.md", IOParameters)]
    + [("layers.md", c) for c in (MappingParameters, InputRangeParameters, WeightRemap)],
)
def test_page_tables_have_the_defaults_of_the_code(page, cls):
    told = rows(page)
    for name in cls.fields():
        default = cls.param[name].default
        assert name in told, name
        words = {"yes": True, "no": False}
        first = told[name].split()[0]
        if isinstance(default, bool):
            assert words[first] is default, name
        elif isinstance(default, str):
            assert first == default, name
        else:
            assert number(first) == pytest.approx(default), name
