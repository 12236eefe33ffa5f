"""``python -m BrainTumorSegLib``: the same as the command ``braintumorseg``."""

import sys

from BrainTumorSegLib.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
