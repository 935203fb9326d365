"""Advisories in files, read as the OSV schema says."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from toughen.lab.osv import advisories, records

if TYPE_CHECKING:
    from pathlib import Path


def record(identity: str, events: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    """An advisory of one package."""
    about = {"package": {"ecosystem": more.pop("ecosystem", "PyPI"), "name": more.pop("name", "Some_Package")}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": identity, "affected": [about | {"versions": more.pop("versions", [])}], **more}


LINES = [{"introduced": "0"}, {"fixed": "1.4.2"}, {"introduced": "2.0"}, {"fixed": "2.1"}]


@pytest.mark.parametrize(
    ("version", "affected"), [("1.4.1", True), ("1.4.2", False), ("1.9", False), ("2.0", True), ("2.0.post1", True), ("2.1rc1", True), ("2.1", False), ("10.0", False), ("nonsense", False)]
)
def test_a_release_lies_in_a_range(version: str, *, affected: bool) -> None:
    """From `introduced` on and before `fixed`, line by line, by PEP 440's order and not the alphabet's."""
    found = advisories([record("A-1", LINES)], "some-package", version)
    assert [each.fixed for each in found] == ([("1.4.2", "2.1")] if affected else [])


def test_what_else_says_that_a_release_is_affected() -> None:
    """A list of versions, and a last affected one that is affected itself."""
    assert advisories([record("A-1", [], versions=["0.9.odd"])], "some-package", "0.9.odd")
    last = [record("A-1", [{"introduced": "0"}, {"last_affected": "1.5"}])]
    assert advisories(last, "some-package", "1.5")
    assert not advisories(last, "some-package", "1.5.1")


def test_one_vulnerability_counts_once() -> None:
    """Two databases' records of the same one, named as each other's alias, are one advisory."""
    found = advisories([record("GHSA-1", LINES, aliases=["CVE-1"]), record("PYSEC-1", LINES, aliases=["CVE-1"])], "some-package", "1.0")
    assert [(each.id, each.aliases) for each in found] == [("GHSA-1", ("CVE-1",))]


def test_folders_and_archives_are_read(tmp_path: Path) -> None:
    """Loose files and archives alike; withdrawn ones, other ecosystems and broken files are passed over."""
    (tmp_path / "one.json").write_text(json.dumps(record("A-1", LINES)))
    (tmp_path / "gone.json").write_text(json.dumps(record("A-2", LINES, withdrawn="2024-01-01T00:00:00Z")))
    (tmp_path / "npm.json").write_text(json.dumps(record("A-3", LINES, ecosystem="npm")))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "PyPI").mkdir()
    with zipfile.ZipFile(tmp_path / "PyPI" / "all.zip", "w") as archive:
        archive.writestr("A-4.json", json.dumps(record("A-4", LINES)))
        archive.writestr("A-5.json", json.dumps(record("A-5", LINES, name="other")))
    found, known = records(tmp_path, {"some-package"})
    assert sorted(each["id"] for each in found) == ["A-1", "A-4"]
    assert known == 4
    assert records(tmp_path / "PyPI" / "all.zip", {"other"})[0][0]["id"] == "A-5"
