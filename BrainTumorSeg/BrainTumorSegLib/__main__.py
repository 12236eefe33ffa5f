"""``python -m BrainTumorSegLib`` and the command ``braintumorseg``: the same process."""

import os
import sys
from typing import NoReturn

from BrainTumorSegLib.cli.stopping import CANCELLED, EXIT_CANCELLED, end_at_once
from BrainTumorSegLib.cli.streams import prepare_streams


def run() -> NoReturn:
    """Run the command line of sys.argv and end the process with its exit code."""
    # Whatever takes a moment to import comes later: Ctrl-C may come first.
    end_at_once(EXIT_CANCELLED, CANCELLED)
    prepare_streams()
    # MONAI imports matplotlib where it finds it, which writes into the user's home. Nothing here draws with it.
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]
    # A thread of torch's OpenMP library that waits for another one keeps its core busy for 300,000 turns by default. On
    # a busy machine the other one waits for that very core, and a study takes half as long again.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from BrainTumorSegLib.cli.main import main

    exit_code = main()
    sys.stderr.flush()
    # Nothing is left to be done, and taking torch and MONAI down again module by module takes another second.
    os._exit(exit_code)


if __name__ == "__main__":
    run()
