# SPDX-License-Identifier: Apache-2.0
"""A job runner for tests of views: it runs nothing and keeps what it was given."""

from __future__ import annotations

from engine.errors import ParameterError


class KeptJobs:
    """Keeps what was submitted; a test runs it itself."""

    def __init__(self):
        self.submitted = []

    def submit(self, experiment, *, label="", owner=None):
        self.submitted.append(experiment)
        raise ParameterError("job: is not run here (allowed: a test). Run it yourself.")

    def jobs(self, owner=None):
        return []
