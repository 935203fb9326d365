"""`toughen init`: what is laid around the gate, and what is left as it was."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from toughen import __version__, config
from toughen.errors import ConfigurationError, SurveyError
from toughen.founding import found, hooks, lay
from toughen.founding.gitlab import stage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

APP = "from fastapi import FastAPI\napp = FastAPI()\n\n\n@app.get('/')\ndef home():\n    return {}\n"
GITHUB = '[remote "origin"]\n\turl = git@github.com:me/shop.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
GITLAB = '[remote "upstream"]\n\turl = https://github.com/other/shop.git\n[remote "origin"]\n\turl = https://gitlab.example.com/me/shop.git\n'
WORKFLOW, PIPELINE, HOOKS = ".github/workflows/toughen.yml", ".gitlab-ci.yml", ".pre-commit-config.yaml"


def project(root: Path, files: Mapping[str, str], remote: str | None = None) -> Path:
    """A prototype, with git's own files where there is a remote ("" for none)."""
    if remote is not None:
        files = {**files, ".git/config": f"[core]\n\tbare = false\n{remote}", ".git/HEAD": "ref: refs/heads/main\n"}
    for name, text in {"main.py": APP, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
    return root


def digest(root: Path) -> dict[str, str]:
    return {str(each.relative_to(root)): hashlib.sha256(each.read_bytes()).hexdigest() for each in sorted(root.rglob("*")) if each.is_file()}


def yaml(text: str) -> Any:
    return YAML(typ="safe").load(text)


def valid(schema: str, file: Path, *more: str) -> None:
    """Hold a file to a schema that check-jsonschema brings along."""
    done = subprocess.run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *more, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_first_run_lays_everything_and_a_second_one_nothing(tmp_path: Path) -> None:
    """Settings, hook, workflow and ignored folder are written once; what is there afterwards is found and left."""
    root = project(tmp_path, {"requirements.txt": "fastapi\n"}, GITHUB)
    first = found(root)
    assert {each.file for each in first.laid if each.change} == {"toughen.toml", HOOKS, WORKFLOW, ".gitignore"}
    assert {each.name for each in root.iterdir()} == {"main.py", "requirements.txt", ".git"}, "looking writes nothing"
    lay(first)
    assert config.read(root).app == "main:app"
    assert (root / ".gitignore").read_text() == ".toughen/\n"
    after = digest(root)
    again = found(root)
    assert not [each for each in again.laid if each.change], again.laid
    lay(again)
    assert digest(root) == after
    assert not again.diff


@pytest.mark.parametrize("sub", ["", "services/shop"])
@pytest.mark.parametrize("python", ["", "3.9", "3.13"])
def test_the_workflow_has_least_rights_and_pinned_actions(tmp_path: Path, sub: str, python: str) -> None:
    """It is a valid workflow; every action is a commit with its version beside it; only what uploads alerts may write, and runs nothing of the project."""
    project(tmp_path, {}, GITHUB)
    root = project(tmp_path / sub, {"requirements.txt": "fastapi\n", **({".python-version": f"{python}\n"} if python else {})})
    lay(found(root))
    file = tmp_path / WORKFLOW
    valid("vendor.github-workflows", file)
    valid("custom.github-workflows-require-timeout", file)
    text = file.read_text()
    used = re.findall(r"uses: (.*)", text)
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in used), used
    workflow = yaml(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    assert "pull_request_target" not in text
    jobs = workflow["jobs"]
    assert "permissions" not in jobs["gate"]
    runs = [each["run"] for each in jobs["gate"]["steps"] if "run" in each]
    gate = f"toughen gate {sub}".rstrip()
    assert f"{gate} --format sarif -o toughen.sarif" in runs
    assert any("GITHUB_STEP_SUMMARY" in each for each in runs)
    assert f'python -m pip install "toughen[dependencies]=={__version__}"' in runs
    pythons = next(each for each in jobs["gate"]["steps"] if "setup-python" in each.get("uses", ""))["with"]["python-version"]
    assert pythons.split() == {"": ["3.12"], "3.9": ["3.9", "3.12"], "3.13": ["3.13"]}[python]
    cached = next(each for each in jobs["gate"]["steps"] if "cache@" in each.get("uses", ""))["with"]
    assert f"hashFiles('{sub + '/' if sub else ''}requirements.txt')" in cached["key"]
    if sub:
        assert list(jobs) == ["gate"]
    else:
        writing = jobs["code-scanning"]
        assert writing["permissions"] == {"security-events": "write"}
        assert not [each for each in writing["steps"] if "run" in each or "checkout" in each["uses"]]
    assert f"toughen gate{' ' + sub if sub else ''} --changed" in (tmp_path / HOOKS).read_text()


def test_gitlab_gets_a_job_in_a_stage_that_there_is(tmp_path: Path) -> None:
    """An existing pipeline keeps every byte, and gains a job; the whole is a valid pipeline with the results of tests as an artifact."""
    there = "stages:\n  - build\n  - verify # ours\n\nbuild:\n  stage: build\n  script: [make]"
    root = project(tmp_path, {PIPELINE: there, "uv.lock": ""}, GITLAB)
    plan = found(root)
    assert (plan.ground.host, plan.ground.manager) == ("gitlab", "uv")
    lay(plan)
    file = root / PIPELINE
    assert file.read_text().startswith(f"{there}\n\n# Written by `toughen init`")
    valid("vendor.gitlab-ci", file, "--data-transform", "gitlab-ci")
    job = yaml(file.read_text())["toughen"]
    assert job["stage"] == "verify"
    assert job["artifacts"]["reports"] == {"junit": "toughen.xml"}
    assert "toughen gate --format junit -o toughen.xml" in job["script"]
    assert job["cache"]["key"] == {"files": ["uv.lock"], "prefix": f"toughen-{__version__}"}
    assert not (root / ".github").exists()


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("", "test"), ("job:\n  script: [make]\n", "test"), ("stages: [a, test]\n", "test"), ("stages:\n- one\n- 'two'\n", "one"), ("stages:\r\n  - build\r\n  - check\r\n", "check"),
        ("stages: !reference [x]\n", None), ("stages: *all\n", None), ('"stages": [a]\n', None), ("stages: [*a]\n", None),
    ],
)
def test_stages(text: str, stage: str | None) -> None:
    """The stage that tests, the first one where none is called so, none where they are not plain."""
    assert stage_of(text) == stage


KEPT = {
    "usual": "# ours\nrepos:\n  - repo: https://github.com/x/y\n    rev: v1\n    hooks:\n      - id: y # keep\n",
    "at the margin": "repos:\n- repo: local\n  hooks:\n  - {id: a, name: a, entry: a, language: system}\n\n# the end\n",
    "keys behind": "ci:\n    skip: [x]\nrepos:\n    -   repo: local\n        hooks:\n        -   id: a\n            name: a\n            entry: a\n            language: system\n\n\nfail_fast: true\n",
    "empty": "repos: []  # none yet\n",
    "windows": "repos:\r\n  - repo: https://github.com/x/y\r\n    rev: v1\r\n    hooks:\r\n      - id: y\r\n",
    "no end": "repos:\n  - repo: https://github.com/x/y\n    rev: v1\n    hooks:\n      - id: y",
    "literal": "repos:\n  - repo: https://github.com/x/y\n    rev: v1\n    hooks:\n      - id: y\n        entry: |\n          repos:\n          - repo: no\nminimum_pre_commit_version: '3.2'\n",
    "document": "---\nrepos:\n  - repo: https://github.com/x/y\n    rev: v1\n    hooks:\n      - id: y\n...\n",
}


@pytest.mark.parametrize("before", KEPT.values(), ids=list(KEPT))
def test_hooks_that_are_there_stay_byte_for_byte(tmp_path: Path, before: str) -> None:
    """Every line of the owner's is there as it was, in its order, and another reader of YAML sees one entry more, the last."""
    root = project(tmp_path, {HOOKS: before}, "")
    lay(found(root))
    after = (root / HOOKS).read_bytes().decode()
    kept = iter(after.splitlines())
    assert all(any(line == each for each in kept) for line in before.replace("repos: []  # none yet", "repos:  # none yet").splitlines()), after
    assert ("\r\n" in before) == ("\r\n" in after)
    assert after.count("\n") == after.count("\r\n") or "\r\n" not in before
    old, new = yaml(before), yaml(after)
    assert new["repos"][:-1] == old["repos"]
    assert {key: value for key, value in new.items() if key != "repos"} == {key: value for key, value in old.items() if key != "repos"}
    [hook] = new["repos"][-1]["hooks"]
    assert hook == {
        "id": "toughen-gate", "name": "toughen gate", "entry": "toughen gate --changed", "language": "python",
        "additional_dependencies": [f"toughen[dependencies]=={__version__}"], "pass_filenames": False, "stages": ["pre-push"],
    }  # fmt: skip


@pytest.mark.parametrize("before", ["repos: [{repo: local, hooks: []}]\n", "repos: &all\n  - repo: local\n", "fail_fast: true\n", "repos:\n  - repo: &r local\n    hooks: []\n", "repos:\n\t- x\n"])
def test_hooks_that_are_not_understood_are_left_and_told(tmp_path: Path, before: str) -> None:
    """What cannot be extended for certain stays as it is, and its owner is handed the lines."""
    root = project(tmp_path, {HOOKS: before}, "")
    plan = found(root)
    [part] = [each for each in plan.laid if each.file == HOOKS]
    assert part.change is None
    assert "id: toughen-gate" in part.by_hand
    lay(plan)
    assert (root / HOOKS).read_text() == before
    assert hooks.extended("repos:\n  - repo: local\n    hooks: []\n", "- a: 1\n  hooks: []\n") == "repos:\n  - repo: local\n    hooks: []\n  - a: 1\n    hooks: []\n"


def test_settings_go_into_pyproject_where_there_is_one(tmp_path: Path) -> None:
    """A table at its end, in its own line ends; what stands before it is untouched."""
    there = '[project]\r\nname = "shop" # ours\r\nrequires-python = ">=3.11"\r\ndependencies = ["fastapi"]\r\n\r\n[tool.poetry]\r\n'
    root = project(tmp_path, {"pyproject.toml": there})
    plan = found(root)
    assert plan.ground.manager == "poetry"
    lay(plan)
    after = (root / "pyproject.toml").read_bytes().decode()
    assert after.startswith(there)
    assert "\n" not in after.replace("\r\n", "")
    assert tomllib.loads(after)["tool"]["toughen"] == {"app": "main:app"}
    assert not (root / "toughen.toml").exists()


@pytest.mark.parametrize("there", ["[tool.toughen]\nbudget = 10\n", '[tool.toughen.identities.a]\ntoken = "x"\n', "tool.toughen.budget = 10\n", "tool = {toughen = {budget = 10}}\n"])
def test_settings_that_are_there_are_left(tmp_path: Path, there: str) -> None:
    """However they are written."""
    root = project(tmp_path, {"pyproject.toml": there})
    lay(found(root))
    assert (root / "pyproject.toml").read_text() == there
    assert not (root / "toughen.toml").exists()


@pytest.mark.parametrize("there", ["[[[", "tool = {ruff = {line-length = 120}}\n"])
def test_a_pyproject_that_cannot_be_extended_gets_a_neighbour(tmp_path: Path, there: str) -> None:
    """A broken one, or one whose tables are closed, stays as it is; toughen.toml is written, and is what counts."""
    root = project(tmp_path, {"pyproject.toml": there})
    lay(found(root))
    assert (root / "pyproject.toml").read_text() == there
    assert config.read(root).app == "main:app"


def test_several_applications_are_named_so_that_each_is_found_again(tmp_path: Path) -> None:
    """What is written leads to the same application, also in a folder of its own beside another."""
    root = project(tmp_path, {"backend/app/main.py": APP, "tools/demo.py": APP.replace("app =", "demo ="), "backend/requirements.txt": "fastapi\n"})
    (root / "main.py").unlink()
    plan = found(root)
    lay(plan)
    from toughen.survey import read, survey

    named = survey(read(root), app=config.read(root).app).entry
    chosen = survey(read(root)).entry
    assert named is not None
    assert chosen is not None
    assert (named.file, named.target, named.import_root) == (chosen.file, chosen.target, chosen.import_root)


def test_a_folder_without_git_gets_its_settings_and_is_told_the_rest(prototype: Write) -> None:
    """Nothing could call a hook or a workflow there: what is not written is said, with exit code 0."""
    project = prototype({"main.py": APP})
    done = project.toughen("init", project.root.name)
    assert done.returncode == 0, done.stderr
    assert {each.name for each in project.root.iterdir()} == {"main.py", ".venv", "toughen.toml"}
    assert "wrote    toughen.toml" in done.stdout
    for file in (HOOKS, WORKFLOW, PIPELINE, ".gitignore"):
        assert re.search(rf"left     {re.escape(file)}: not written: this folder is in no git repository", done.stdout)


def test_a_dry_run_prints_a_diff_that_git_takes_and_writes_nothing(prototype: Write) -> None:
    """The diff alone makes what a run would have made."""
    project = prototype({"main.py": APP, "pyproject.toml": '[project]\nname = "shop"', ".gitignore": ".venv"})
    subprocess.run(["git", "init", "-q"], cwd=project.root, check=True)
    before = project.digest()
    dry = project.toughen("init", project.root.name, "--dry-run", "--ci", "github")
    assert dry.returncode == 0, dry.stderr
    assert project.digest() == before
    diff = dry.stdout[dry.stdout.index("---") : dry.stdout.index("found    ")]
    subprocess.run(["git", "apply", "-"], cwd=project.root, input=diff, text=True, check=True)
    by_diff = project.digest()
    subprocess.run(["git", "apply", "-R", "-"], cwd=project.root, input=diff, text=True, check=True)
    assert project.digest() == before
    done = project.toughen("init", project.root.name, "--ci", "github")
    assert done.returncode == 0, done.stderr
    assert project.digest() == by_diff
    assert "nothing is left to write" in project.toughen("init", project.root.name, "--ci", "github").stdout


@pytest.mark.parametrize(
    ("remote", "files", "host"),
    [
        (GITHUB, {}, "github"), (GITLAB, {}, "gitlab"), ("", {}, None), ('[remote "origin"]\n\turl = ssh://git@code.example.com:22/a/b\n', {PIPELINE: "a: {script: [b]}\n"}, "gitlab"),
        ("", {".github/dependabot.yml": "version: 2\n"}, "github"), ('[remote "origin"]\n\turl = https://me:secret@github.example.com/a/b\n', {}, "github"),
    ],
)
def test_who_hosts_it_is_read_off_git(tmp_path: Path, remote: str, files: dict[str, str], host: str | None) -> None:
    """By the address of its remote, the origin first, else by the files of a host that are there; else nobody is guessed."""
    plan = found(project(tmp_path, files, remote))
    assert plan.ground.host == host
    written = {each.file for each in plan.laid if each.change}
    assert written & {WORKFLOW, PIPELINE} == ({WORKFLOW} if host == "github" else {PIPELINE} if host == "gitlab" else set())
    assert not {WORKFLOW, PIPELINE} & {each.file for each in found(tmp_path, host="none").laid}
    assert "secret" not in plan.diff


def test_the_branch_and_a_worktree(tmp_path: Path) -> None:
    """The branch that origin calls its head is watched; a worktree's git lies with the first one's."""
    main = project(tmp_path / "first", {".git/refs/remotes/origin/HEAD": "ref: refs/remotes/origin/release/2\n", ".git/worktrees/w/commondir": "../..\n"}, GITHUB)
    other = project(tmp_path / "second", {".git": f"gitdir: {main}/.git/worktrees/w\n"})
    for root in (main, other):
        lay(found(root))
        assert yaml((root / WORKFLOW).read_text())["on" if "on" in yaml((root / WORKFLOW).read_text()) else True]["push"]["branches"] == ["release/2"]


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    """A workflow of that name, one of another name that runs the gate, and a hook of the owner's own stay."""
    root = project(tmp_path, {WORKFLOW: "mine\n", ".gitignore": "/.toughen\n", HOOKS: "repos:\n  - repo: https://github.com/x/toughen\n    rev: v1\n    hooks:\n      - id: toughen-gate\n"}, GITHUB)
    lay(found(root))
    assert (root / WORKFLOW).read_text() == "mine\n"
    assert (root / ".gitignore").read_text() == "/.toughen\n"
    other = project(tmp_path / "other", {".github/workflows/ci.yml": "jobs: {a: {steps: [{run: toughen gate}]}}\n"}, GITHUB)
    lay(found(other))
    assert not (other / WORKFLOW).exists()


def test_all_is_written_or_nothing(tmp_path: Path) -> None:
    """Where one file cannot be written, those before it are as they were."""
    root = project(tmp_path, {".github": "a file where a folder must be\n"}, GITHUB)
    before = digest(root)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        lay(found(root))
    assert digest(root) == before


def test_a_file_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    """A link out of the project, and a file that is no text, stay as they are."""
    outside = tmp_path / "outside"
    outside.write_text("theirs\n")
    root = project(tmp_path / "inside", {}, "")
    (root / ".gitignore").symlink_to(outside)
    (root / HOOKS).write_bytes(b"repos: \xff\n")
    lay(found(root))
    assert outside.read_text() == "theirs\n"
    assert (root / HOOKS).read_bytes() == b"repos: \xff\n"


def test_a_folder_without_an_application(tmp_path: Path) -> None:
    """Nothing is written where there is nothing to test."""
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SurveyError):
        found(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(ConfigurationError, match="github, gitlab or none, not 'jenkins'"):
        found(tmp_path, host="jenkins")
