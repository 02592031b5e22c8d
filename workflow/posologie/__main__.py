"""The command `posologie`."""

import sys

from posologie.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
