# SPDX-License-Identifier: Apache-2.0
"""A field to drop files on. The page refuses what is too large; the server does not rely on that."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
import panel.models.file_dropper  # so that every page that may show one has its script
from panel.viewable import Viewable, Viewer

CHUNK_BYTES = 1_000_000
"""Small pieces: a slider's message never waits behind more than one of them."""

_CSS = """
/* FilePond takes the height of its group for its own once, and inside a flexible group never grows again. */
.bk-input-group { display: block; }
.filepond--root { font-family: inherit; margin-bottom: 0; }
.filepond--panel-root { background: transparent; }
.bk-input.filepond--root, .bk-input.filepond--root .filepond--drop-label { background: transparent; }
.bk-input.filepond--root { border: 1px dashed var(--border-color, #808B98); border-radius: 8px; }
.bk-input.filepond--root .filepond--drop-label { color: var(--panel-on-surface-color); cursor: pointer; }
.filepond--drop-label label { font-size: 14px; }
.filepond--file .filepond--file-status-sub, .filepond--file .filepond--file-info-sub { opacity: .9; }
.filepond--label-action { text-decoration-color: currentColor; }
/* What has arrived is listed by the view that asked for it. */
.filepond--item[data-filepond-item-state="processing-complete"] { display: none; }
"""


class _Chunks(pn.widgets.FileDropper):
    """Panel's dropper with a limit that holds on the server, and contents that stay bytes."""

    def __init__(self, limit: int, take: Callable[[str, bytes], None], refuse: Callable[[str], None], **kw):
        super().__init__(**kw)
        self._limit, self._take, self._refuse = limit, take, refuse

    def _process_event(self, event) -> None:  # private in Panel; a test tells when it is gone
        if event.event_name == "upload_event":
            self._chunk(**event.data)

    def _chunk(self, name: str, data: bytes, chunk: int, total_chunks: int, type: str = "") -> None:
        if chunk == 1:
            self._file_buffer[name] = []
        pieces = self._file_buffer.get(name)
        if pieces is None or len(pieces) + 1 != chunk:  # refused before, or not what our page sends
            self._file_buffer.pop(name, None)
            return
        pieces.append(bytes(data))
        if sum(len(p) for held in self._file_buffer.values() for p in held) > self._limit:
            del self._file_buffer[name]
            self._refuse(too_large(name, self._limit))
        elif chunk == total_chunks:
            self._take(name, b"".join(self._file_buffer.pop(name)))


class Upload(Viewer):
    """A field for one or more files.

    Parameters
    ----------
    take : callable
        Takes name and content (bytes) of each file that has arrived.
    refuse : callable
        Takes one line on why a file was refused by the server.
    limit_mb : int
        Largest file, and largest sum of the files under way, in MB (10^6 bytes).
    multiple : bool
        Several files may be dropped at once.
    """

    def __init__(
        self,
        take: Callable[[str, bytes], None],
        refuse: Callable[[str], None],
        *,
        limit_mb: int,
        multiple: bool = False,
    ):
        super().__init__()
        self.dropper = _Chunks(
            limit_mb * 1_000_000, take, refuse,
            multiple=multiple, max_file_size=f"{limit_mb}MB", chunk_size=CHUNK_BYTES, previews=[],
            sizing_mode="stretch_width", margin=0, stylesheets=[_CSS],
        )  # fmt: skip

    def __panel__(self) -> Viewable:
        return self.dropper


def too_large(name: str, limit: int) -> str:
    """Word the refusal of a file that is larger than ``limit`` bytes."""
    allowed = f"{limit / 1e6:g} MB"
    return (
        f"size of {name} = more than {allowed}: the file is too large (allowed: at most {allowed}). Load a smaller one."
    )
