"""The documentation says what the program does: messages, controls, commands, links and examples."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from brain_tumor_training.main import build_parser as build_training_parser
from BrainTumorSegLib.cli.main import build_parser
from BrainTumorSegLib.engine.sample.study import write_sample
from documentation import (
    DOCS,
    GAP,
    REPOSITORY,
    CodeBlock,
    anchors,
    code_blocks,
    error_templates,
    pages,
    prose,
    quoted_messages,
    said_texts,
)

TROUBLESHOOTING = DOCS / "troubleshooting.md"
ERRORS = {"BrainTumorSegError", "InputError", "GeometryError", "OutputError", "ModelError", "MemoryExhaustedError"}
# Errors that only programmers meet: wrong networks, requests to the worker, wrong use of its client.
NOT_FOR_USERS = ("engine/networks/", "engine/service/server.py", "engine/service/requests.py", "client/process.py")
OUR_PROGRAMS = {"braintumorseg": build_parser, "braintumorseg-train": build_training_parser}


@pytest.fixture(scope="module")
def texts() -> set[str]:
    return said_texts()


@pytest.mark.parametrize("message", quoted_messages(TROUBLESHOOTING))
def test_a_quoted_message_is_one_that_the_program_has(message: str, texts: set[str]) -> None:
    assert any(message in text for text in texts)


def test_every_message_that_a_user_can_meet_is_in_the_troubleshooting_page() -> None:
    quoted = [message for message in quoted_messages(TROUBLESHOOTING) if len(message.replace(GAP, "")) > 8]
    missing = [
        f"{where}: {message}"
        for where, message in error_templates(ERRORS, NOT_FOR_USERS)
        if not any(key in message for key in quoted)
    ]
    assert not missing, "give each a row in docs/troubleshooting.md:\n" + "\n".join(missing)


@pytest.mark.parametrize("page", [DOCS / "user_guide.md", TROUBLESHOOTING], ids=lambda page: page.stem)
def test_what_is_printed_bold_is_a_control_of_the_panel_or_of_slicer(page: Path, texts: set[str]) -> None:
    """Bold is for what one clicks. Slicer's own controls are listed here, so that a new one is looked up there."""
    of_slicer = {"Add", "Export to DICOM...", "Extensions Manager", "Harden transform", "PyTorch"}
    bold = set(re.findall(r"\*\*([^*]+)\*\*", prose(page))) - of_slicer
    labels = {text.strip().rstrip(":") for text in texts}
    assert not {name for name in bold if name not in labels and not name.startswith("Not a medical device")}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if urlsplit(target).scheme:
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def shell_commands() -> list[tuple[str, str]]:
    """(page, command) for each command of ours in the shell blocks, continued lines joined."""
    found = []
    for page in pages():
        for block in code_blocks(page):
            if block.language == "sh":
                lines = block.text.replace("\\\n", " ").splitlines()
                found += [(page.name, line.strip()) for line in lines]
    return [(page, line) for page, line in found if line.split(" ")[0] in {*OUR_PROGRAMS, "make"}]


@pytest.mark.parametrize(("page", "line"), shell_commands())
def test_a_command_in_the_documentation_is_one_that_exists(page: str, line: str) -> None:
    program, *arguments = shlex.split(re.split(r"\|\|?|&&|>", line)[0], comments=True)
    if program == "make":
        makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
        targets = [each for each in arguments if "=" not in each]
        assert all(re.search(rf"^{each}:", makefile, flags=re.MULTILINE) for each in targets)
    elif not {"-h", "--help", "--version"} & set(arguments):
        OUR_PROGRAMS[program]().parse_args(arguments)


def engine_blocks() -> list[CodeBlock]:
    return [block for block in code_blocks(DOCS / "python_api.md") if block.section == "Without Slicer"]


def test_the_engine_examples_run_in_order_on_the_sample_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sample(tmp_path / "study")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRAINTUMORSEG_HOME", str(tmp_path / "home"))
    blocks = [block for block in engine_blocks() if block.language == "python"]
    assert len(blocks) >= 3
    names: dict[str, object] = {}
    for block in blocks:
        # Padded, so that a failure names the line of the page.
        exec(compile("\n" * block.line + block.text, "docs/python_api.md", "exec"), names)
    assert (tmp_path / "tumour.seg.nrrd").is_file()
    assert (tmp_path / "report.json").is_file()
