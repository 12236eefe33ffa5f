"""A real Dask cluster of processes on this machine, with the tests' slow engine in its workers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from BrainTumorSegLib.engine.measurement.result import Result
from BrainTumorSegLib.engine.service.cohort.cluster import Engine
from BrainTumorSegLib.engine.service.run import SegmentJob
from cohorts import REPOSITORY, SLOW_ENGINE, engine_environment


class SlowEngine(Engine):
    """The slow engine, as each worker's environment wants it, instead of the model."""

    def segment(self, job: SegmentJob) -> Result:
        """Threshold, stage by stage; fails as a worker without the model does if its environment says so."""
        import slow_engine

        slow_engine.load({}, lambda *_, **__: None, lambda: False)
        result = slow_engine.segment_job(job, lambda *_, **__: None, lambda: False)
        if "done" in slow_engine.WANTED:
            with Path(slow_engine.WANTED["done"]).open("a") as stream:
                stream.write(f"{job.inputs.flair.parent.name}\n")
        return result


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._log = (folder / "cluster.log").open("ab")
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> None:
        arguments = ["--port", str(self.port), "--host", "127.0.0.1", "--no-dashboard"]
        self.scheduler = self._start("dask_scheduler", arguments, engine_environment())
        while not self._answers():
            if self.scheduler.poll() is not None:  # the port of the one before is not free yet
                self.scheduler = self._start("dask_scheduler", arguments, engine_environment())
            time.sleep(0.1)

    def _answers(self) -> bool:
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", self.port)) == 0

    def start_worker(self, **slow_engine: Any) -> subprocess.Popen[bytes]:
        environment = engine_environment(**slow_engine)
        environment["PYTHONPATH"] += os.pathsep + str(SLOW_ENGINE.parent)
        arguments = [self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard", "--death-timeout", "60"]
        self.workers.append(self._start("dask_worker", arguments, environment))
        return self.workers[-1]

    def _start(self, module: str, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        return subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log, cwd=REPOSITORY / "tests")

    def __enter__(self) -> Cluster:
        self.start_scheduler()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in [*self.workers, self.scheduler]:
            if process is not None:
                process.kill()
                process.wait()
        self._log.close()
