# SPDX-License-Identifier: Apache-2.0
"""Experiments as jobs in worker processes: progress, cancel, come back to them, results that stay."""

from explorer.jobs.errors import JobError, JobLimit, UnknownJob
from explorer.jobs.job import Job, Status
from explorer.jobs.runner import JobRunner
from explorer.jobs.shared import quick_runner, runner, shutdown

__all__ = ["Job", "JobError", "JobLimit", "JobRunner", "Status", "UnknownJob", "quick_runner", "runner",
           "shutdown"]  # fmt: skip
