"""Every code block of the documents is executed, and what stands below a command is what the command says.

A comment before a block says how it is meant:

    <!-- in: examples/tuckshop -->     this block and those below run in a fresh copy of that folder (`checkout`: of what a rule needs; `git`: committed)
    <!-- file: main.py -->             the block is written there, whole
    <!-- long -->                      it takes minutes: with the other long tests
    <!-- code: 2 -->                   the exit code of its last command, where it is none of 0, 10 and 11
    <!-- not run: why -->              it is not executed; this module lists every one
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from toughen import config
from toughen.audit import policy
from toughen.gating import baseline

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parents[1]
PAGES = [HERE / "README.md", HERE / "SECURITY.md", *sorted((HERE / "docs").rglob("*.md"))]
SCHEMA = json.loads((HERE / "docs/output.schema.json").read_text(encoding="utf-8"))
LANGUAGES = {"bash", "text", "toml", "json", "yaml", "python", "diff"}
MARKS = {"in", "file", "long", "code", "not run"}
_MARK = re.compile(r"^<!-- ([a-z ]+?)(?:: (.+?))? -->$", re.DOTALL)
_SCHEMAS = {"jobs": "vendor.github-workflows", "toughen": "vendor.gitlab-ci"}


@dataclass
class Block:
    """A code block, with the comments that stand before it."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The blocks of a page in their order."""
    found: list[Block] = []
    marks: dict[str, str] = {}
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            for line in token.content.strip().splitlines():
                if match := _MARK.match(line.strip()):
                    marks[match.group(1)] = (match.group(2) or "").strip()
        elif token.type in {"fence", "code_block"}:
            assert token.map is not None
            language = token.info.strip() if token.type == "fence" else "indented"
            found.append(Block(page.relative_to(HERE).as_posix(), token.map[0] + 1, language, token.content, marks))
            marks = {}
        elif token.level == 0 and token.nesting >= 0:
            marks = {}
    return tuple(found)


ALL = [block for page in PAGES for block in blocks(page)]
NOT_RUN = [each for each in ALL if "not run" in each.marks]
QUICK = [page for page in PAGES if any("not run" not in each.marks for each in blocks(page))]
LONG = [page for page in PAGES if any("long" in each.marks for each in blocks(page))]


class Reader:
    """Does what a page says, block by block."""

    def __init__(self, folder: Path) -> None:
        """Begin in an empty folder, with `toughen` and `python` being these."""
        self.folder = folder
        self.place = folder / "empty"
        self.place.mkdir()
        self.said = ""
        self.log = folder / "log"
        tools = folder / "bin"
        tools.mkdir()
        shim = tools / "toughen"
        shim.write_text(f'#!/bin/bash\n"{sys.executable}" -m toughen "$@"; code=$?\necho "$code toughen $*" >> "{self.log}"\nexit $code\n', encoding="utf-8")
        shim.chmod(0o755)
        (tools / "python").write_text(f'#!/bin/bash\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        (tools / "python").chmod(0o755)
        (folder / "home").mkdir()
        who = {f"GIT_{one}_{other}": value for one in ("AUTHOR", "COMMITTER") for other, value in (("NAME", "t"), ("EMAIL", "t@example.com"))}
        self.environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120", **who}

    def enter(self, what: str) -> None:
        """A fresh copy of what the page speaks of."""
        name, *options = (each.strip() for each in what.split(","))
        self.place = self.folder / f"{name.replace('/', '-')}-{len(list(self.folder.iterdir()))}" / Path(name).name
        if name == "checkout":
            for each in ("src", "tests/test_rules.py", "tests/conftest.py", "pyproject.toml"):
                (self.place / each).parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if (HERE / each).is_dir() else shutil.copy)(HERE / each, self.place / each)  # type: ignore[operator]
            self.environment |= {"PYTHONPATH": str(self.place / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
            return
        shutil.copytree(HERE / name, self.place, ignore=shutil.ignore_patterns(".toughen", "__pycache__", "*.db"))
        (self.place / ".venv").symlink_to(sys.prefix)
        if "git" in options:
            (self.place / ".gitignore").write_text(".venv\n__pycache__/\n", encoding="utf-8")
            for command in (["git", "init", "-q", "-b", "main"], ["git", "add", "-A"], ["git", "commit", "-qm", "as it was written"]):
                subprocess.run(command, cwd=self.place, env=self.environment, check=True)

    def do(self, block: Block) -> None:
        if "in" in block.marks:
            self.enter(block.marks["in"])
        if "file" in block.marks:
            file = self.place / block.marks["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        match block.language:
            case "bash":
                self.bash(block)
            case "text":
                self.shown(block)
            case "python":
                if "file" in block.marks:
                    compile(block.text, str(block), "exec")
                else:
                    subprocess.run([sys.executable, "-c", block.text], cwd=self.place, env=self.environment, check=True, timeout=120)
            case "toml":
                toml(block, self.folder)
            case "json":
                document(block)
            case "yaml":
                self.yaml(block)
            case "diff":
                subprocess.run(["git", "apply", "--check", "-"], cwd=self.place, input=block.text, text=True, check=True)
            case other:
                pytest.fail(f"{block}: {other}")

    def bash(self, block: Block) -> None:
        """Each command may end as toughen does when it proves something; every other end must be said."""
        self.log.write_text("", encoding="utf-8")
        script = f"trap 'echo \"$? $BASH_COMMAND\" >> \"{self.log}\"' ERR\n{block.text}"
        done = subprocess.run(["bash", "--norc", "-c", script], cwd=self.place, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=False)
        self.said = done.stdout + done.stderr
        ends = [line.split(" ", 1) for line in self.log.read_text(encoding="utf-8").splitlines()]
        wanted = {block.marks["code"]} if "code" in block.marks else {"0", "10", "11"}
        wrong = [(code, command) for code, command in ends if code not in (wanted if command.startswith("toughen") else {"0"})]
        assert not wrong, f"{block}: {wrong}\n{self.said[-3000:]}"
        assert "code" not in block.marks or ends, f"{block}: nothing ended with {wanted}"

    def shown(self, block: Block) -> None:
        """The lines stand in what the last command said, in their order; a number or a mark made up by chance may be another one, `...` stands for any lines."""
        assert self.said, f"{block}: no command before it said anything"
        heard = iter([plain(line) for line in self.said.splitlines()])
        for line in block.text.splitlines():
            if line.strip() and line.strip() not in {"...", "…"}:
                assert any(plain(line) == each for each in heard), f"{block}: {line!r} is not said, or not there:\n{self.said[:6000]}"

    def yaml(self, block: Block) -> None:
        """Workflows and pipelines are held to their schemas; hooks must be hooks of this repository."""
        found = YAML(typ="safe").load(block.text)
        if isinstance(found, dict) and "repos" in found:
            known = {each["id"] for each in YAML(typ="safe").load((HERE / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
            assert {hook["id"] for each in found["repos"] for hook in each["hooks"]} <= known, str(block)
            return
        schema = next((schema for key, schema in _SCHEMAS.items() if key in found), None)
        assert schema, f"{block}: what is it?"
        file = self.folder / "block.yml"
        file.write_text(block.text, encoding="utf-8")
        transform = ("--data-transform", "gitlab-ci") if schema.endswith("gitlab-ci") else ()
        done = subprocess.run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *transform, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}: {done.stdout}"
        for inputs in (step["with"] for job in found.get("jobs", {}).values() for step in job.get("steps", ()) if "/toughen@" in step.get("uses", "")):
            assert set(inputs) <= set(YAML(typ="safe").load((HERE / "action.yml").read_text(encoding="utf-8"))["inputs"]), str(block)


def plain(line: str) -> str:
    """A line without what differs from run to run: marks, numbers, blanks."""
    line = re.sub(r"\b(?:tgn?|tguser)?(?=[0-9a-f]*\d)[0-9a-f]{8,}\w*", "#", line)
    return " ".join(re.sub(r"\d+(\.\d+)?", "0", line).split())


def toml(block: Block, folder: Path) -> None:
    """Settings are read as a project's, a policy as its own; the variables that they name are set."""
    root = folder / f"settings-{block.line}"
    (root / "advisories").mkdir(parents=True)
    if "[routes." in block.text:
        (root / policy.FILE).write_text(block.text, encoding="utf-8")
        assert policy.read(root / policy.FILE)
        return
    (root / ("pyproject.toml" if "[tool.toughen" in block.text else "toughen.toml")).write_text(block.text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name in re.findall(r"env:(\w+)", block.text):
            patch.setenv(name, "secret")
        assert config.read(root) != config.Config(), f"{block} sets nothing"


def document(block: Block) -> None:
    """A report is held to its schema, a baseline to its own reader."""
    found = json.loads(block.text)
    if "findings" in found:
        Draft202012Validator(SCHEMA).validate(found)
    elif "faults" in found:
        baseline.parsed(block.text, str(block))


def run(page: Path, folder: Path, *, long: bool) -> Iterator[Block]:
    """Do a page from its beginning; without the long blocks, and what shows the output of one, where it is to be quick."""
    reader = Reader(folder)
    left_out = False
    for block in blocks(page):
        if "not run" in block.marks:
            continue
        left_out = not long and ("long" in block.marks or (left_out and block.language == "text" and "in" not in block.marks))
        if left_out:
            if "in" in block.marks:
                reader.enter(block.marks["in"])
            continue
        reader.do(block)
        yield block


@pytest.mark.parametrize("page", QUICK, ids=lambda page: page.relative_to(HERE).as_posix())
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    """Its blocks, in their order; those that take minutes are left to the next test."""
    done = list(run(page, tmp_path, long=False))
    assert done or page in LONG, "nothing of it was executed"


@pytest.mark.long
@pytest.mark.parametrize("page", LONG, ids=lambda page: page.relative_to(HERE).as_posix())
def test_a_page_does_what_it_says_to_its_end(page: Path, tmp_path: Path) -> None:
    """All of its blocks."""
    done = list(run(page, tmp_path, long=True))
    assert len(done) == len([each for each in blocks(page) if "not run" not in each.marks])


@pytest.mark.parametrize("block", ALL, ids=str)
def test_a_block_says_what_it_is(block: Block) -> None:
    """A language, no unknown mark, and a reason where it is not executed."""
    assert block.language in LANGUAGES, f"{block} has no language that this module executes: {block.language!r}"
    assert set(block.marks) <= MARKS, block.marks
    assert "not run" not in block.marks or len(block.marks["not run"].split()) > 2, f"{block} is not run, and says not why"


def test_what_is_not_run_is_known(record_property: pytest.RecordProperty) -> None:
    """Every block that is not executed, with its reason: a new one is added here by hand, or it is no block that may stand there."""
    told = [f"{each.page}: {each.marks['not run']}" for each in NOT_RUN]
    record_property("not run", "\n".join(told))
    assert sorted(told) == sorted(KNOWN)


KNOWN = [
    "docs/agents.md: it installs packages from the network",
    "docs/ci.md: pre-commit is a program of its own, which asks the network for hooks",
    "docs/policy.md: it is broken on purpose, the next block says how",
    "docs/regression-tests.md: a test that fix wrote, shown in part; the tests of fix execute such ones",
    "docs/usage.md: a matrix of a made-up prototype, which shows each sign; the page on the policy shows one of the examples",
    "docs/writing-a-rule.md: it fails, which is what the test of new-rule itself holds it to",
]
"""Page and reason."""
