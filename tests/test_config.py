"""Settings are checked whole before the first attack."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_command_line_wins_over_the_files(tmp_path: Path) -> None:
    """toughen.toml wins over pyproject.toml, and what the command line says wins over both."""
    (tmp_path / "pyproject.toml").write_text('[tool.toughen]\napp = "a:app"\nbudget = 10\nseed = 1\n')
    (tmp_path / "toughen.toml").write_text('app = "b:app"\nbudget = 20\n[environment]\nKEY = "v"\n')
    found = config.read(tmp_path, app="c:app", budget=None)
    assert (found.app, found.budget, found.seed, found.environment) == ("c:app", 20, 1, (("KEY", "v"),))


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    """Unknown settings, wrong kinds, unknown breaks and impossible numbers come in one error, exit code 2."""
    (tmp_path / "toughen.toml").write_text('colour = 1\nseed = "x"\nstatic = 1\nonly = ["race/none"]\nbudget = -1\nthreshold = "huge"\n')
    with pytest.raises(ConfigurationError) as caught:
        config.read(tmp_path)
    for part in ("'colour'", "seed = 'x'", "static = 1", "'race/none'", "budget must be more than 0", "threshold must be one of"):
        assert part in caught.value.message
    assert caught.value.exit_code == 2


def test_a_typo_is_told_with_its_place_and_with_what_was_meant(tmp_path: Path) -> None:
    """The file, line and column of a setting that there is not, and what comes near; what a reader of TOML stumbled over as well."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "thresold"\n\n[tool.toughen]\n# thresold\nbudget = 3\nthresold = "low"\n')
    with pytest.raises(ConfigurationError, match=re.escape("pyproject.toml, line 7, column 1: [tool.toughen] has no setting 'thresold'; did you mean 'threshold'?")):
        config.read(tmp_path)
    (tmp_path / "toughen.toml").write_text('app = "main:app"\nonly = [race]\n')
    with pytest.raises(ConfigurationError, match=re.escape('toughen.toml cannot be read: line 2, column 9: invalid value; did you mean "race"?')):
        config.read(tmp_path)
    (tmp_path / "toughen.toml").write_text('only = ["race/lost-updates"]\n')
    (tmp_path / "pyproject.toml").unlink()
    with pytest.raises(ConfigurationError, match=re.escape("there is no break 'race/lost-updates'; did you mean 'race/lost-update'?")):
        config.read(tmp_path)


def test_a_broken_file_of_ours_is_an_error_and_of_theirs_is_not(tmp_path: Path) -> None:
    """toughen.toml that cannot be read is refused; a pyproject.toml that is broken is the project's own matter."""
    (tmp_path / "pyproject.toml").write_text("[[[")
    assert config.read(tmp_path) == config.Config()
    (tmp_path / "toughen.toml").write_text("[[[")
    with pytest.raises(ConfigurationError):
        config.read(tmp_path)


def test_a_place_stands_for_its_breaks(tmp_path: Path) -> None:
    """`only` takes a break or a whole place."""
    assert config.read(tmp_path, only=("race", "input/crash")).only == ("race", "input/crash")


def test_advisories_that_are_not_there_are_a_fault(tmp_path: Path) -> None:
    """A path is looked for before anything runs; the address of a service is not."""
    with pytest.raises(ConfigurationError, match="advisories = 'known'"):
        config.read(tmp_path, advisories="known")
    (tmp_path / "known").mkdir()
    assert config.read(tmp_path, advisories="known").advisories == "known"
    assert config.read(tmp_path, advisories="http://127.0.0.1/v1/query").advisories
