"""What an installation in Slicer brings in bytes, on top of what Slicer has, by platform.

    python benchmarks/install_size.py [--torch-cpu FILE] [--extra "monai[all]"]

uv resolves BrainTumorSeg/Resources/requirements.txt and torch for each platform and tells the size of every wheel by
PyPI's index; nothing is downloaded. What requirements-of-slicer.txt resolves to is Slicer's own and does not count,
except NumPy on an Intel Mac, which is installed anew there. For Linux without CUDA the wheel is not on PyPI: FILE is
that of https://download.pytorch.org/whl/cpu; without it that row is left out. --extra asks for more, to see what it
would cost.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging import tags
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

REPOSITORY = Path(__file__).parents[1]
RESOURCES = REPOSITORY / "BrainTumorSeg" / "Resources"
PYTHON = (3, 12)
"""Slicer's, since 5.10."""
MANYLINUX = [
    *(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)),
    *(f"manylinux{year}_x86_64" for year in ("2014", "2010", "1")),
]


@dataclass(frozen=True)
class Platform:
    """A kind of computer. name: for people. uv: uv's name of it. system, machine: as markers have them."""

    name: str
    uv: str
    system: str
    machine: str
    wheels: Sequence[str]
    is_cuda: bool = False


PLATFORMS = (
    Platform("Windows, CPU", "x86_64-pc-windows-msvc", "win32", "AMD64", ["win_amd64"]),
    Platform("Linux, CPU", "x86_64-manylinux_2_28", "linux", "x86_64", MANYLINUX),
    Platform("Linux, CUDA", "x86_64-manylinux_2_28", "linux", "x86_64", MANYLINUX, True),
    Platform("macOS, Intel", "x86_64-apple-darwin", "darwin", "x86_64", list(tags.mac_platforms((13, 0), "x86_64"))),
)


def main() -> None:
    """Resolves, adds up and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-cpu", type=Path, metavar="FILE", help="torch's wheel for Linux without CUDA")
    parser.add_argument("--extra", action="append", default=[], metavar="REQUIREMENT")
    arguments = parser.parse_args()

    print("| platform | packages | torch | CUDA | the rest | together |")
    print("|---|---|---|---|---|---|")
    for platform in PLATFORMS:
        if platform.name == "Linux, CPU" and arguments.torch_cpu is None:
            continue
        wanted = _requirements("requirements.txt", platform)
        kept = set(_resolved(_of_slicer(platform), platform)) - {one.name for one in wanted}
        torch = [one for one in _requirements("requirements-of-slicer.txt", platform) if one.name == "torch"]
        found = _resolved([*map(str, [*wanted, *torch]), *arguments.extra], platform)
        if platform.name == "Linux, CPU":
            found["torch"] = arguments.torch_cpu.stat().st_size
        brought = {name: size for name, size in found.items() if name not in kept}
        cuda = sum(size for name, size in brought.items() if name.startswith(("nvidia-", "cuda-", "triton")))
        whole = sum(brought.values())
        cells = (brought["torch"], cuda, whole - cuda - brought["torch"], whole)
        print(
            f"| {platform.name} | {len(brought)} | {' | '.join(f'{cell / 1e6:.1f} MB' for cell in cells)} |", flush=True
        )


def _requirements(file: str, platform: Platform) -> list[Requirement]:
    """Those of a file that hold on the platform, without their markers."""
    environment = {**default_environment(), "sys_platform": platform.system, "platform_machine": platform.machine}
    found = []
    for line in (RESOURCES / file).read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                requirement.marker = None
                found.append(requirement)
    return found


def _of_slicer(platform: Platform) -> list[str]:
    return [str(one) for one in _requirements("requirements-of-slicer.txt", platform) if one.name != "torch"]


def _resolved(requirements: Sequence[str], platform: Platform) -> dict[str, int]:
    """Bytes of each package's wheel by its name. Where torch has no CUDA it needs what pyproject.toml says of it."""
    with TemporaryDirectory() as folder:
        asked, lock = Path(folder) / "requirements.in", Path(folder) / "pylock.toml"
        asked.write_text("\n".join(requirements))
        config = ["--no-config"] if platform.is_cuda else ["--project", str(REPOSITORY)]
        subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "compile", str(asked), "--output-file", str(lock), "--quiet"),
                *("--python-platform", platform.uv, "--python-version", ".".join(map(str, PYTHON)), *config),
                *("--format", "pylock.toml"),
            ],
            check=True,
            cwd=REPOSITORY,
        )
        packages = tomllib.loads(lock.read_text())["packages"]
    return {package["name"]: _size(package, platform) for package in packages}


def _size(package: dict[str, Any], platform: Platform) -> int:
    """Bytes of the wheel that an installer takes there: the one with the best tag; of the source where none fits."""
    best = [
        *tags.cpython_tags(PYTHON, platforms=platform.wheels),
        *tags.compatible_tags(PYTHON, platforms=platform.wheels),
    ]
    ranks = {tag: rank for rank, tag in enumerate(best)}
    fitting = []
    for wheel in package.get("wheels", []):
        known = [ranks[tag] for tag in parse_wheel_filename(wheel["url"].rsplit("/", 1)[1])[3] if tag in ranks]
        if known:
            fitting.append((min(known), wheel["size"]))
    return min(fitting)[1] if fitting else package["sdist"]["size"]


if __name__ == "__main__":
    main()
