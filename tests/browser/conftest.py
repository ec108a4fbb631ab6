# SPDX-License-Identifier: Apache-2.0
"""What the browser tests of a lab share: one page for all tests of a module, which names its class as ``PAGE``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab_page import LabPage


@pytest.fixture(scope="module")
def visitor(request: pytest.FixtureRequest, browser, app_url: str) -> Iterator[LabPage]:
    """One page for all tests of a module: to open one takes longer than most of them."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield request.module.PAGE(context.new_page(), app_url)
    context.close()


@pytest.fixture
def lab(visitor: LabPage) -> Iterator[LabPage]:
    """The page as a test finds it; afterwards nothing may have gone wrong in it, nor been asked of another server."""
    visitor.begin()
    yield visitor
    assert visitor.errors == []
    assert visitor.outside == []
