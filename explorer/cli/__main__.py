# SPDX-License-Identifier: Apache-2.0
"""``python -m explorer.cli`` is the command ``ohmscape``."""

import sys

from explorer.cli import main

if __name__ == "__main__":  # worker processes import this module again
    sys.exit(main())
