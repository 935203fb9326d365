"""Claims about the lab's own folder: what is planted lies there and beside the prototype's folders, and goes again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.lab.outside import Outside
from toughen.lab.requests import Resolver
from toughen.model.journey import Marker
from toughen.model.trial import Planted

if TYPE_CHECKING:
    from pathlib import Path


def _beside(folder: str, name: str) -> Planted:
    return Planted(Marker("hostile", "tgn{}"), Marker("held", "tgn{}"), Marker("hostile", name), folder)


def test_a_folder_beside_one_of_the_prototypes_comes_and_goes(tmp_path: Path) -> None:
    """It lies there while the trial runs, is told with what it holds, and the prototype's copy is as before afterwards."""
    project = tmp_path / "project"
    (project / "data" / "files").mkdir(parents=True)
    outside, resolver = Outside(tmp_path / "outside", project), Resolver(lambda _: [])
    outside.plant([Planted(Marker("hostile", "tgn{}"), Marker("held", "tgn{}")), _beside("data/files", "files_tgn{}")], resolver)
    wanted, held = (f"tgn{resolver.markers[name]}" for name in ("hostile", "held"))
    assert (project / "data" / f"files_{wanted}" / wanted).read_text() == held
    assert outside.found(None) == ((wanted, held), (f"beside/{wanted}", held))
    outside.clear()
    assert [each.name for each in (project / "data").iterdir()] == ["files"]


def test_nothing_is_planted_elsewhere_or_over_what_is_there(tmp_path: Path) -> None:
    """A folder beside the root of the copy, and one that the prototype has already, stay as they are."""
    project = tmp_path / "project"
    (project / "files_old").mkdir(parents=True)
    (project / "files").mkdir()
    outside = Outside(tmp_path / "outside", project)
    outside.plant([_beside(".", "project_tgn{}"), _beside("../other", "x_tgn{}"), _beside("files", "files_old")], Resolver(lambda _: []))
    outside.clear()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["outside", "project"]
    assert sorted(each.name for each in project.iterdir()) == ["files", "files_old"]
    assert not list((project / "files_old").iterdir())
