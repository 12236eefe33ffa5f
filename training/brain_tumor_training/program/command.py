"""Studies through the real command ``braintumorseg segment``, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from brain_tumor_training.program.outputs import OutputFiles, Segmentation, models_option
from BrainTumorSegLib.engine.errors import BrainTumorSegError
from BrainTumorSegLib.engine.settings import RunSettings
from BrainTumorSegLib.engine.study.reading import StudyPaths


@dataclass(frozen=True)
class SegmentCommand:
    """How to call it. models: a folder of models to use instead of the installed ones."""

    models: Path | None = None

    def run(self, paths: StudyPaths, options: RunSettings) -> Segmentation:
        """Segments a study. Raises BrainTumorSegError with the command's own words if it fails."""
        with TemporaryDirectory() as folder:
            outputs = OutputFiles(Path(folder))
            started = time.monotonic()
            files = [part for name, path in outputs.named_with(paths).items() for part in (f"--{name}", path)]
            self._call([*files, *options.arguments()])
            seconds = time.monotonic() - started
            return outputs.read(paths.flair, seconds)

    def _call(self, arguments: list[str]) -> None:
        command = [sys.executable, "-m", "BrainTumorSegLib", "segment", *models_option(self.models), *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise BrainTumorSegError(
                f"`braintumorseg segment` ended with exit code {done.returncode}: {done.stderr.strip()[-500:]}",
                "Correct what it names and evaluate again.",
            )
