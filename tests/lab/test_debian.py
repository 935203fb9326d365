"""Packages of Debian's that are unpacked and not installed, by a client of the tests' own."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from toughen.errors import LabError
from toughen.lab import debian

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = """#!/bin/sh
case "$*" in
*Dir::State::Lists*update*) echo begin >> "$LOG"; sleep 0.1 ;;
*Dir::State::Lists*simulate*) echo "Inst tool (2.0 Debian:12 [amd64])"; echo "Inst library [1.0] (1.1 Debian:12 [amd64])" ;;
*Dir::State::Lists*download*) for each in "$@"; do case "$each" in *=*.*) touch "${each%%=*}.deb" ;; esac; done; echo end >> "$LOG" ;;
*simulate*) echo "Inst tool (1.0 Debian:12 [amd64])" ;;
*download*) touch old.deb; echo "404" >&2; exit 100 ;;
esac
"""
UNPACKER = """#!/bin/sh
mkdir -p "$3/usr/lib" && touch "$3/usr/lib/$(basename "$2" .deb).so"
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the client was asked for; its own lists of packages are old."""
    for name, text in (("apt-get", CLIENT), ("dpkg-deb", UNPACKER)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.defpath}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_a_package_comes_with_its_needs_and_once(log: Path, tmp_path: Path) -> None:
    """Also where an interrupted run has left half of it; of a first attempt that failed in the middle nothing is kept."""
    (tmp_path / "cache" / "debian" / "tool" / "usr").mkdir(parents=True)
    (tmp_path / "cache" / "debian" / "tool" / "usr" / "half").touch()
    for _ in range(2):
        place = debian.unpacked("tool", tmp_path / "cache")
        assert sorted(each.name for each in place.rglob("*") if each.is_file()) == ["complete", "library.so", "tool.so"]
        assert debian.libraries(place) == [place / "usr" / "lib"]
    assert log.read_text().split() == ["begin", "end"]


def test_two_packages_at_once_take_turns_at_the_lists(log: Path, tmp_path: Path) -> None:
    """The client itself would refuse the second one while the first has them."""
    runs = [threading.Thread(target=debian.unpacked, args=(name, tmp_path / "cache")) for name in ("one", "other")]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert log.read_text().split() == ["begin", "end"] * 2
    assert all((tmp_path / "cache" / "debian" / name / "complete").exists() for name in ("one", "other"))


def test_without_the_client_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another system is told so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="has no apt-get"):
        debian.unpacked("tool", tmp_path / "cache")
