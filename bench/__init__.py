# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: ours, the peer and torch on the same inputs in one run; see docs/benchmarks.md.

Every timed row checks its answer. Modules that the peer's own environment imports (`peer_server`, `meters`) import
nothing of the engine, which is not installed there.
"""
