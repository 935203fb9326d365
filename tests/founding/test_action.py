"""What other repositories use of this one: the action, and the hook."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from toughen.cli import app

HERE = Path(__file__).parents[2]
ACTION = HERE / "action.yml"


def action() -> Any:
    return YAML(typ="safe").load(ACTION.read_text(encoding="utf-8"))


def step(name: str) -> dict[str, Any]:
    return next(each for each in action()["runs"]["steps"] if each["name"].startswith(name))


def test_the_action_is_valid_and_pinned_as_the_workflow_is() -> None:
    """It keeps the schema; its actions are commits, the same as those that `toughen init` writes; inputs reach scripts as variables only."""
    done = subprocess.run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", str(ACTION)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    used = set(re.findall(r"uses: (\S+ # \S+)", ACTION.read_text(encoding="utf-8")))
    template = (HERE / "src/toughen/templates/founding/github.yml").read_text(encoding="utf-8")
    assert used
    assert used <= set(re.findall(r"uses: (\S+ # \S+)", template))
    assert not [each["name"] for each in action()["runs"]["steps"] if "${{" in each.get("run", "")]
    assert all(each["description"] for each in action()["inputs"].values())


@pytest.mark.parametrize(
    ("inputs", "wanted", "code"),
    [
        ({}, ["gate", "--format", "sarif", "-o", "toughen.sarif", "--", "."], 0),
        ({"verb": "check", "only": "race  input/crash", "app": "main:app", "budget": "60"}, ["check", "--format", "sarif", "-o", "toughen.sarif", "--app", "main:app", "--budget", "60", "--only", "race", "--only", "input/crash", "--", "."], 10),
        ({"path": "$(touch pwned); --help"}, ["gate", "--format", "sarif", "-o", "toughen.sarif", "--", "$(touch pwned); --help"], 11),
        ({"verb": "fix"}, None, 2),
    ],
)
def test_the_script_hands_its_inputs_on_as_they_are(tmp_path: Path, inputs: dict[str, str], wanted: list[str] | None, code: int) -> None:
    """Each input is one argument, whatever it holds; the exit code is toughen's, and an output; another verb is refused."""
    tool = tmp_path / "toughen/bin/toughen"
    tool.parent.mkdir(parents=True)
    tool.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > "{tmp_path}/arguments"\nexit {code}\n')
    tool.chmod(0o755)
    given = {name: inputs.get(name, each.get("default", "")) for name, each in action()["inputs"].items()}
    run = step("Run it")
    variables = {name: given[re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", value).group(1)] for name, value in run["env"].items()}  # type: ignore[union-attr]
    environment = {**os.environ, **variables, "RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "output")}
    # As the runner starts bash.
    done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run["run"]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert not (tmp_path / "pwned").exists()
    if wanted is None:
        assert not (tmp_path / "arguments").exists()
        return
    assert (tmp_path / "arguments").read_text().splitlines() == wanted
    assert (tmp_path / "output").read_text() == f"code={code}\n"
    typer.main.get_command(app).commands[wanted[0]].make_context(wanted[0], wanted[1:])  # type: ignore[attr-defined]


def test_the_hook_is_a_command_that_there_is() -> None:
    """One hook, before a push, without file names, whose entry the command line takes."""
    [hook] = YAML(typ="safe").load((HERE / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert (hook["id"], hook["language"], hook["pass_filenames"], hook["stages"]) == ("toughen-gate", "python", False, ["pre-push", "manual"])
    said, verb, *arguments = shlex.split(hook["entry"])
    assert said == "toughen"
    typer.main.get_command(app).commands[verb].make_context(verb, arguments)  # type: ignore[attr-defined]
