"""The command's help and its completion, as a shell meets them."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from toughen import usage
from toughen.cli import app
from toughen.gates import load as gates
from toughen.report.formats import FORMATS
from toughen.rules import load

GROUP = typer.main.get_command(app)
VERBS = sorted(GROUP.commands)  # type: ignore[attr-defined]
BIN = Path(sys.executable).parent


def test_every_verb_has_examples_and_no_other() -> None:
    """A new verb comes with its examples."""
    assert sorted(usage.EXAMPLES) == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_ends_with_examples_that_parse(verb: str) -> None:
    """What `--help` shows can be typed as it stands: each line is taken by the verb's own parser."""
    done = subprocess.run([sys.executable, "-m", "toughen", verb, "--help"], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    lines = [line.strip() for line in done.stdout.partition("Examples:")[2].splitlines() if line.strip().startswith("toughen ")]
    assert lines == [command for command, _ in usage.EXAMPLES[verb]]
    for line in lines:
        said, *arguments = shlex.split(line)[1:]
        assert said == verb
        context = GROUP.commands[verb].make_context(verb, arguments)  # type: ignore[attr-defined]
        assert set(map(str, context.params.get("only") or ())) <= {name for name, _ in (usage.gates("") if verb == "gate" else usage.places(""))}
    with pytest.raises(Exception, match="No such option"):
        GROUP.commands[verb].make_context(verb, ["--no-such-option"])  # type: ignore[attr-defined]


def completed(line: str, folder: Path) -> list[str]:
    """What bash offers behind a line that ends where the cursor is, with the script that `--show-completion` prints."""
    words = line.split(" ")
    script = f"""
        source <(toughen --show-completion)
        COMP_WORDS=({' '.join(map(shlex.quote, words))}) COMP_CWORD={len(words) - 1}
        _toughen_completion toughen
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_bash_completes_breaks_formats_and_proofs(tmp_path: Path) -> None:
    """The ids of breaks behind `explain`, places too behind `--only`, the formats, verbs, and the proofs that lie there."""
    ids = {rule.id for rule in load()}
    assert set(completed("toughen explain ", tmp_path)) == ids
    assert set(completed("toughen explain race/l", tmp_path)) == {"race/lost-update"}
    assert set(completed("toughen check --only race", tmp_path)) == {"race", *(each for each in ids if each.startswith("race/"))}
    assert set(completed("toughen check --format ", tmp_path)) == set(FORMATS)
    assert set(completed("toughen gate --only ", tmp_path)) == {gate.id for gate in gates()}
    assert {"explain"} == set(completed("toughen expl", tmp_path))
    (tmp_path / "shop/.toughen/proofs").mkdir(parents=True)
    (tmp_path / "shop/.toughen/proofs/race-lost-update-POST-transfer.json").touch()
    assert completed("toughen replay shop/", tmp_path) == ["shop/.toughen/proofs/race-lost-update-POST-transfer.json"]


def test_it_is_installed_only_when_asked() -> None:
    """The help names both options; the script is bash's."""
    done = subprocess.run([sys.executable, "-m", "toughen", "--help"], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"})
    assert re.search(r"--install-completion.*\n.*--show-completion", done.stdout)


def test_version() -> None:
    """`--version` says the release, which is the one that the package has."""
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"toughen {importlib.metadata.version('toughen')}\n")
