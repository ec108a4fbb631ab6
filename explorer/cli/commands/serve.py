# SPDX-License-Identifier: Apache-2.0
"""Serve the apps to a browser until Ctrl+C; the root address opens the device lab, with the given seed.

Without further arguments only this machine can reach them.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import webbrowser

from explorer.cli import output

SUMMARY = "serve the apps to a browser"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen and whether to open a browser."""
    parser.add_argument("--port", type=int, default=5006, metavar="N", help="TCP port, 0 = any free (default: 5006)")
    parser.add_argument("--address", default="127.0.0.1", metavar="HOST",
                        help="address to listen on (default: 127.0.0.1, this machine only)")  # fmt: skip
    parser.add_argument("--allow-origin", action="append", default=[], metavar="HOST:PORT",
                        help="name under which other machines open the pages; may be repeated")  # fmt: skip
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--no-warm", action="store_true", help="start sooner; the first page then takes longer")


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from explorer import serving

    print("starting ...", file=sys.stderr, flush=True)
    server = serving.build_server(
        options.address,
        options.port,
        options.allow_origin,
        first_query=_first_query(options.seed),
        warm=not options.no_warm,
    )
    address = serving.url(server)
    result = {"url": address, "port": server.port, "apps": list(serving.apps()), "pid": os.getpid()}
    output.deliver(result, f"Ohmscape: {address} (Ctrl+C stops it)", options.json)
    if options.address not in serving.LOOPBACK:
        print("note: there is no log-in; whoever reaches this address can use it.", file=sys.stderr, flush=True)
    if not options.no_browser and _has_display():
        server.io_loop.add_callback(webbrowser.open, address)
    # SIGTERM ends the loop like Ctrl+C does, so that the worker processes are closed behind it.
    signal.signal(signal.SIGTERM, lambda *_: server.io_loop.add_callback_from_signal(server.io_loop.stop))
    if not options.no_warm:
        from explorer import jobs

        jobs.runner().warm()  # in the background: the first training of the first visitor then starts at once
    server.start()
    server.io_loop.start()
    print("stopped", file=sys.stderr, flush=True)
    return 0


def _first_query(seed: int) -> str:
    """Return the link that opens the device lab with ``seed``; nothing for the lab's own default."""
    if seed == 0:
        return ""
    from explorer.labs import link
    from explorer.labs.state import DeviceState

    return f"state={link.encode(DeviceState(seed=seed))}"


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
