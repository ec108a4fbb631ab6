# SPDX-License-Identifier: Apache-2.0
"""Serve the apps: find them, bind safely, keep requests small."""

from __future__ import annotations

import errno
import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import OhmscapeError, say

if TYPE_CHECKING:
    from panel.io.server import Server

PACKAGE = Path(__file__).resolve().parent
FIRST = "device_lab"
"""The app that the root address opens."""

# Uploads come in chunks of at most 10 MB (Panel's FileDropper); a message has the chunk plus its envelope. What is
# larger is no chunk of ours: the server drops that connection instead of holding the message in memory.
MESSAGE_LIMIT_BYTES = 16 * 2**20
# Plain requests carry nothing but an address and headers.
BODY_LIMIT_BYTES = 2**20
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServingError(OhmscapeError):
    """The server cannot start; the text says what to do."""


def apps() -> dict[str, Path]:
    """Return ``name -> path`` of every app, sorted by name: of the wheel, or of the source tree.

    Raises
    ------
    ServingError
        When there are none.
    """
    places = (PACKAGE / "apps", PACKAGE.parent / "apps")
    for folder in places:
        found = {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}
        if found:
            return found
    looked = " and ".join(map(str, places))
    raise ServingError(f"No apps found (looked in {looked}). Install ohmscape again.")


def check_port(address: str, port: int) -> None:
    """Raise `ServingError` with a remedy when nobody can listen there; port 0 lets the system choose."""
    if not 0 <= port <= 65535:
        raise ServingError(say("serve.port", port, "is not a port", "0 to 65535; 0 = any", "Choose another one."))
    try:
        family, _, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
            probe.bind(target)
    except OSError as problem:
        raise ServingError(_port_message(address, port, problem)) from None


def _port_message(address: str, port: int, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        remedy = "Stop the other program, or choose another port: --port 0 takes any free one."
        return say("serve.port", port, "is in use by another program", "a free port", remedy)
    if problem.errno == errno.EACCES:
        return say("serve.port", port, "is reserved for the system", "1024 to 65535", "Choose another port.")
    return say("serve.address", address, f"cannot be used ({problem.strerror})", "an address of this machine",
               "Leave it out to serve this machine only.")  # fmt: skip


def build_server(address: str, port: int, origins: list[str], *, first_query: str = "", warm: bool = True) -> Server:
    """Return a server with all apps, bound but not started.

    Parameters
    ----------
    address : str
        Address to listen on.
    port : int
        TCP port; 0 takes a free one (then read ``server.port``).
    origins : list of str
        Further ``host:port`` under which a browser may open the pages (for a proxy or another machine).
    first_query : str
        Added to the address that the root leads to, such as ``"state=..."``.
    warm : bool
        Run each app once before the first visitor, who then need not wait for the imports.
    """
    check_port(address, port)
    import panel as pn
    from tornado.web import RedirectHandler

    found: dict[str, Any] = {name: str(path) for name, path in apps().items()}
    target = f"/{FIRST}?{first_query}" if first_query else f"/{FIRST}"
    to_first = ("/", RedirectHandler, {"url": target, "permanent": False})
    with _loading():
        return pn.io.server.get_server(
            found,
            port=port,
            address=address,
            websocket_origin=origins or None,
            extra_patterns=[to_first] if FIRST in found else [],
            websocket_max_message_size=MESSAGE_LIMIT_BYTES,
            http_server_kwargs={"max_body_size": BODY_LIMIT_BYTES},
            start=False,
            show=False,
            warm=warm,
        )


@contextmanager
def _loading() -> Iterator[None]:
    """Load what stays to the end, and have the garbage collector look at what visitors bring only.

    To look through all that is loaded took half a second to a second each time, in which no page was answered, and a
    quarter of the processor time of an opened page.
    """
    gc.disable()
    try:
        yield
        gc.collect()
        gc.freeze()
    finally:
        gc.enable()


def url(server: Server) -> str:
    """Return the address to open on this machine."""
    host = server.address if server.address not in ("", "0.0.0.0", "::", None) else "127.0.0.1"
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{server.port}/"
