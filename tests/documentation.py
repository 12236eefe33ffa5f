"""The documentation as data: code blocks, quoted messages, links; and the texts that the program can say."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
LIBRARY = REPOSITORY / "BrainTumorSeg" / "BrainTumorSegLib"
GAP = "…"
"""Stands for what differs from case to case, in the documentation and in the templates made here."""


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block. section: the second-level heading above it. line: where it begins, from 1."""

    language: str
    section: str
    line: int
    text: str


def pages() -> list[Path]:
    """Every page of the documentation, the front page first."""
    return [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]


def code_blocks(page: Path) -> list[CodeBlock]:
    """The fenced blocks of a page, in order."""
    blocks: list[CodeBlock] = []
    section, language, begun = "", None, 0
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith("```") and language is None:
            language, begun = line[3:].strip(), number + 1
        elif line.startswith("```"):
            blocks.append(CodeBlock(language or "", section, begun, "\n".join(lines[begun:number])))
            language = None
        elif language is None and line.startswith("## "):
            section = line[3:]
    return blocks


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def quoted_messages(page: Path) -> list[str]:
    """What stands in backticks in the first column of each table that begins with "Message"."""
    found: list[str] = []
    is_inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("| Message |"):
            is_inside = True
        elif not line.startswith("|"):
            is_inside = False
        elif is_inside:
            found += re.findall(r"`([^`]+)`", line.split("|")[1])
    return found


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def template_of(node: ast.expr) -> str:
    """The text that an expression makes, with a gap for whatever is not written there."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(template_of(part) if isinstance(part, ast.Constant) else GAP for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template_of(node.left) + template_of(node.right)
    return GAP


def normalised(template: str) -> str:
    """One gap for several in a row and for the fields of str.format."""
    return re.sub(rf"{GAP}(\s*{GAP})+", GAP, re.sub(r"\{\w+(:[^}]*)?\}", GAP, template))


def said_texts() -> set[str]:
    """Every text in the source and in the panel's .ui, with gaps."""
    texts = {node.text for node in ElementTree.parse(LIBRARY.parent / "Resources/UI/BrainTumorSeg.ui").iter("string")}
    for path in (LIBRARY.parent / "BrainTumorSeg.py", *LIBRARY.rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        texts |= {template_of(node) for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp)}
    return {normalised(text) for text in texts if text}


def error_templates(classes: set[str], left_out: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(where, message) of each error of these classes that is made in the source, for messages with words in them.

    left_out: files and folders of the library, by relative path, whose errors no user meets. What calls itself a
    defect is left out too: it is the program's to correct.
    """
    for path in sorted(LIBRARY.rglob("*.py")):
        name = path.relative_to(LIBRARY).as_posix()
        if name.startswith(left_out):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes):
                continue
            message, *rest = [normalised(template_of(argument)) for argument in node.args] or [""]
            is_defect = any("defect" in text for text in rest)
            if re.search(r"[A-Za-z]{3}", message) and not is_defect:
                yield f"{name}:{node.lineno}", message
