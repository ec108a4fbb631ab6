# SPDX-License-Identifier: Apache-2.0
"""The device engine on a GPU: the sources of `engine/csrc` compiled where they run (docs/cuda.md)."""
