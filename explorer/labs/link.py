# SPDX-License-Identifier: Apache-2.0
"""The whole state of a lab as a short text for an address, and back.

Layout: ``<version>.<payload>.<check>``; the payload is compact JSON in base64url, the check the first
digits of its SHA-256, so that a link that lost or changed a character is told from a good one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from engine.errors import OhmscapeError
from explorer.labs.history import EditedModel

VERSION = "1"
MAX_CHARACTERS = 8000
"""Longest link that is looked at; the largest device with every parameter edited takes about 1500."""

_CHECK_DIGITS = 8


class LinkError(OhmscapeError, ValueError):
    """A link cannot be read; the text says why and what to do."""


def encode(state: EditedModel) -> str:
    """Return the state as text that `decode` reads; letters, digits, ``.``, ``-`` and ``_`` only."""
    text = json.dumps(state.to_query(), separators=(",", ":"), allow_nan=False)
    payload = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return f"{VERSION}.{payload}.{_check(payload)}"


def decode(text: str) -> dict[str, Any]:
    """Return what `EditedModel.to_query` gave.

    Raises
    ------
    LinkError
        If the text is too long, of another version, incomplete or changed.
    """
    if len(text) > MAX_CHARACTERS:
        raise _refusal(f"{len(text)} characters", f"at most {MAX_CHARACTERS}")
    parts = text.split(".")
    if len(parts) != 3:
        raise _refusal("it is incomplete", "version.state.check")
    version, payload, check = parts
    if version != VERSION:
        raise _refusal(f"version {version[:8]!r}", f"version {VERSION}")
    if check != _check(payload):
        raise _refusal("characters are missing or were changed", "the link as it was copied")
    try:
        query = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error) as error:
        raise _refusal("it holds no state", "the link as it was copied") from error
    if not isinstance(query, dict):
        raise _refusal("it holds no state", "the link as it was copied")
    return query


def restore(state: EditedModel, text: str) -> str:
    """Bring a state back from a link; return an empty text, or one line on why the state was left as it was."""
    if not text:
        return ""
    try:
        query = decode(text)
        type(state)().from_query(query)  # on a copy first: a link is taken as a whole or not at all
    except OhmscapeError as error:
        return str(error)
    except (ValueError, TypeError, KeyError, AttributeError):
        return str(_refusal(f"its state is not one of a {state.noun} lab", "the link as it was copied"))
    state.from_query(query)
    return ""


def _check(payload: str) -> str:
    return hashlib.sha256(payload.encode()).hexdigest()[:_CHECK_DIGITS]


def _refusal(found: str, allowed: str) -> LinkError:
    return LinkError(
        f"link.state: cannot be read, {found} (allowed: {allowed}). The default is shown; copy the link again."
    )
