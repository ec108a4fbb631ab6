# SPDX-License-Identifier: Apache-2.0
"""What the server has loaded when it starts is none of the garbage collector's business."""

import gc

import pytest

from explorer import serving


@pytest.fixture
def unfrozen():
    """Start with all objects under collection; freezing again only makes what follows faster."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("unfrozen")
def test_server_exempts_what_it_loaded_and_goes_on_collecting():
    server = serving.build_server("127.0.0.1", 0, [], warm=False)
    try:
        assert gc.get_freeze_count() > 100_000  # torch and Panel alone are more
        assert gc.isenabled()
    finally:
        server.stop()


@pytest.mark.usefixtures("unfrozen")
def test_server_that_cannot_start_leaves_the_collector_on(monkeypatch):
    def refuses(*_, **__):
        assert not gc.isenabled()
        raise OSError("no")

    monkeypatch.setattr("panel.io.server.get_server", refuses)
    with pytest.raises(OSError, match="no"):
        serving.build_server("127.0.0.1", 0, [])
    assert gc.isenabled()
