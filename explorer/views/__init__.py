# SPDX-License-Identifier: Apache-2.0
"""Views: each takes the state and draws; none holds another truth."""
