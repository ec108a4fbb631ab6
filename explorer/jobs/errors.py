# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a job before it runs."""

from __future__ import annotations

from engine.errors import OhmscapeError


class JobError(OhmscapeError):
    """A job cannot be started, or has no result to give."""


class JobLimit(JobError):
    """Too many unfinished jobs, in all or of one owner."""


class UnknownJob(JobError, LookupError):
    """There is no job of that id, and no stored run that came from it."""
