# SPDX-License-Identifier: Apache-2.0
"""The server as a visitor meets it: one address, the device lab behind it, no console errors."""

import contextlib
import http.client
import json
import re
import urllib.error
import urllib.request

import pytest

from explorer import serving


def test_root_opens_the_device_lab_and_keeps_the_link(app_url, page):
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{app_url}?from=test")
    page.wait_for_function("window.Bokeh && window.Bokeh.documents.length > 0 && window.Bokeh.documents[0].is_idle")
    assert page.url.startswith(f"{app_url}{serving.FIRST}")
    assert "from=test" in page.url
    assert errors == []


def test_server_answers_only_on_loopback_by_default(served_apps, app_url):
    import psutil

    listening = [c for c in psutil.Process(served_apps.process.pid).net_connections("tcp") if c.status == "LISTEN"]
    port = int(app_url.rstrip("/").rpartition(":")[2])
    assert [c.laddr.ip for c in listening if c.laddr.port == port] == ["127.0.0.1"]


def test_request_with_a_large_body_is_refused(app_url):
    body = b"x" * (serving.BODY_LIMIT_BYTES + 1)
    with pytest.raises((urllib.error.HTTPError, ConnectionError, urllib.error.URLError)):
        urllib.request.urlopen(
            urllib.request.Request(f"{app_url}{serving.FIRST}", data=body, method="POST"), timeout=20
        )


@pytest.mark.parametrize(("origin", "status"), [("http://elsewhere.example", 403), (None, 101)])
def test_websocket_opens_only_for_pages_of_this_server(origin, status, app_url):
    host = app_url.removeprefix("http://").rstrip("/")
    html = urllib.request.urlopen(f"{app_url}{serving.FIRST}").read().decode()
    token = re.search(r'"token":"([^"]+)"', html).group(1)
    connection = http.client.HTTPConnection(host, timeout=20)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": f"bokeh, {token}",
               "Origin": origin or f"http://{host}"}  # fmt: skip
    with contextlib.closing(connection):
        connection.request("GET", f"/{serving.FIRST}/ws", headers=upgrade)
        assert connection.getresponse().status == status


def test_announcement_names_every_app(served_apps, app_url):
    announced = json.loads((served_apps.log.parent / "server.json").read_text())
    assert announced["apps"] == list(serving.apps())
    assert announced["pid"] == served_apps.process.pid
