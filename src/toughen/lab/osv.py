"""Owns the reading of advisories from files in the OSV format (ossf.github.io/osv-schema), as `osv-scanner --offline` keeps them."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from toughen.model.advisory import Advisory

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

Record = dict[str, Any]


def records(place: Path, names: Collection[str]) -> tuple[list[Record], int]:
    """The records of a folder or an archive that speak of these packages, and how many speak of any Python package."""
    found: list[Record] = []
    known = 0
    for raw in _texts(place):
        with suppress(ValueError, AttributeError, TypeError, KeyError):
            record = json.loads(raw)
            about = {canonicalize_name(str(each["package"]["name"])) for each in _python(record)}
            known += bool(about)
            if about & set(names) and not record.get("withdrawn"):
                found.append(record)
    return found, known


def advisories(found: list[Record], name: str, version: str) -> tuple[Advisory, ...]:
    """Those that say of this release that it is affected."""
    told: list[Advisory] = []
    taken: set[str] = set()
    for record in found:
        ours = [each for each in _python(record) if canonicalize_name(str(each["package"]["name"])) == name]
        names = {str(record.get("id")), *(str(each) for each in record.get("aliases") or ())}
        if not names & taken and any(_holds(each, version) for each in ours):
            taken |= names
            fixed = {str(event["fixed"]) for each in ours for events in _events(each) for event in events if "fixed" in event}
            told.append(Advisory(str(record.get("id")), tuple(sorted(names - {str(record.get("id"))})), ordered(fixed)))
    return tuple(told)


def ordered(versions: Collection[str]) -> tuple[str, ...]:
    """Versions that follow PEP 440, the lowest first."""
    known = [(parsed, each) for each in versions if (parsed := parse(each)) is not None]
    return tuple(each for _, each in sorted(known))


def parse(text: str) -> Version | None:
    """The version, None where it follows no rule."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _texts(place: Path) -> Iterator[bytes]:
    files = sorted(each for each in place.rglob("*") if each.suffix in {".json", ".zip"} and each.is_file()) if place.is_dir() else [place]
    for file in files:
        with suppress(OSError, zipfile.BadZipFile):
            if file.suffix == ".zip":
                with zipfile.ZipFile(file) as archive:
                    for name in archive.namelist():
                        if name.endswith(".json"):
                            yield archive.read(name)
            else:
                yield file.read_bytes()


def _python(record: Record) -> list[Record]:
    return [each for each in record.get("affected") or () if each.get("package", {}).get("ecosystem") == "PyPI"]


def _events(affected: Record) -> Iterator[list[dict[str, str]]]:
    for each in affected.get("ranges") or ():
        if each.get("type") in {"ECOSYSTEM", "SEMVER"}:
            yield each.get("events") or []


def _holds(affected: Record, version: str) -> bool:
    """Whether a release is among the affected ones, as the specification evaluates it."""
    if version in {str(each) for each in affected.get("versions") or ()}:
        return True
    own = parse(version)
    return own is not None and any(_within(events, own) for events in _events(affected))


def _within(events: list[dict[str, str]], own: Version) -> bool:
    inside = False
    for kind, text in sorted(((kind, str(text)) for event in events for kind, text in event.items()), key=_when):
        at = parse(text)
        if kind == "introduced" and (text == "0" or (at is not None and own >= at)):
            inside = True
        elif at is not None and ((kind == "fixed" and own >= at) or (kind == "last_affected" and own > at)):
            inside = False
    return inside


def _when(event: tuple[str, str]) -> tuple[Version, bool]:
    return parse(event[1]) or Version("0"), event[0] != "introduced"
