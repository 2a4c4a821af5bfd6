"""``python -m rundlet.cli``: the ``rundlet`` command where no script is installed."""

import sys

from rundlet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
