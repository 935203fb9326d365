"""Owns how one file of the project imports another: relatively where it does so already, else from where imports start."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen.codemod.mechanics import use
from toughen.codemod.module import halt

if TYPE_CHECKING:
    from toughen.codemod.draft import Draft
    from toughen.codemod.module import Module
    from toughen.model.blueprint import Entry


def imported(module: Module, file: str, entry: Entry | None) -> tuple[str, Draft]:
    """(name under which a file's module is known there, the import as a draft)."""
    here, there = PurePosixPath(module.file).parent.parts, PurePosixPath(file).parent.parts
    stem = PurePosixPath(file).stem
    if any(isinstance(each, ast.ImportFrom) and each.level for each in module.tree.body):
        common = next((at for at, (left, right) in enumerate(zip(here, there, strict=False)) if left != right), min(len(here), len(there)))
        return stem, use(module, f"from {'.' * (len(here) - common + 1)}{'.'.join(there[common:])} import {stem}")
    root = PurePosixPath(entry.import_root if entry is not None else ".").parts
    if there[: len(root)] != root:
        halt(f"{file} lies outside of what the project imports")
    folder = [*([entry.package] if entry is not None and entry.package else []), *there[len(root) :]]
    return stem, use(module, f"from {'.'.join(folder)} import {stem}" if folder else f"import {stem}")
