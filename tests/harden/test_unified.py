"""Unified diffs from outside, as people, git and models write them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from toughen.errors import PatchError
from toughen.harden import unified

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "import os\n\n\ndef one():\n    return 1\n\n\ndef two():\n    return 2\n"


def laid(patch: str, **files: str) -> dict[str, str]:
    texts = {name.replace("_py", ".py"): text for name, text in (files or {"main_py": TEXT}).items()}
    return {file: after for file, _, after in unified.changed(patch.encode(), texts.get)}


def test_what_git_writes_is_laid_as_git_lays_it(tmp_path: Path) -> None:
    """Several hunks and files, a file without a last line end, a new file: the result is that of `git apply`."""
    old = {"main.py": TEXT, "b/c d.py": "x = 1\ny = 2", "ä.py": "z = 1\n"}
    new = {"main.py": TEXT.replace("return 1", "return 10").replace("import os\n", "import os\nimport re\n") + "\n\nEND = 1", "b/c d.py": "x = 1\ny = 3\n", "ä.py": "z = 2\n", "new.py": "n = 1\n"}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for name, text in old.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "-C", str(tmp_path), "add", "-A"], check=True)
    for name, text in new.items():
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "-C", str(tmp_path), "add", "-N", "new.py"], check=True)
    patch = subprocess.run(["git", "-C", str(tmp_path), "diff"], check=True, capture_output=True).stdout
    assert {file: after for file, _, after in unified.changed(patch, old.get)} == new


@pytest.mark.parametrize("patch", [
    "--- a/main.py\n+++ b/main.py\n@@ -4,2 +4,2 @@\n def one():\n-    return 1\n+    return 10\n",
    "--- main.py\n+++ main.py\n@@ -4,2 +4,2 @@\n def one():\n-    return 1\n+    return 10\n",
    "Here is the patch:\n\n```diff\n--- a/main.py\n+++ b/main.py\n@@ -90,2 +90,2 @@ def one\n def one():\n-    return 1\n+    return 10\n```\n",
    "--- a/main.py\n+++ b/main.py\n@@ -1,99 +1,99 @@\n\n\n def one():\n-    return 1\n+    return 10\n",
    "diff --git a/main.py b/main.py\nindex 1..2 100644\n--- a/main.py\t2026-01-01\n+++ b/main.py\t2026-01-01\n@@ -4,2 +4,2 @@\r\n def one():\r\n-    return 1\r\n+    return 10\r\n",
    "--- a/main.py\n+++ b/main.py\n@@ -4,2 +4,2 @@\n def one():\n-    return 1\n+    return 10\n-- \n2.43.0\n",
])
def test_what_models_get_wrong_and_means_one_place_is_taken(patch: str) -> None:
    """Wrong line numbers and counts, words around it, empty context lines without their blank, foreign line ends, no prefixes, a mail's signature."""
    assert laid(patch) == {"main.py": TEXT.replace("return 1", "return 10")}


def test_line_ends_of_the_file_stay() -> None:
    """A file with carriage returns keeps them, in the lines that are added as well."""
    text = TEXT.replace("\n", "\r\n")
    patch = "--- a/main.py\n+++ b/main.py\n@@ -4,2 +4,3 @@\n def one():\n-    return 1\n+    x = 10\n+    return x\n"
    assert laid(patch, main_py=text) == {"main.py": text.replace("    return 1\r\n", "    x = 10\r\n    return x\r\n")}


@pytest.mark.parametrize(("patch", "said"), [
    ("", "the patch is empty"),
    ("   \n", "the patch is empty"),
    ("def one(): pass\n", "holds no hunk"),
    ("@@ -1 +1 @@\n-a\n+b\n", "line 1 of the patch begins a hunk of no file"),
    ("--- a/main.py\n+++ b/main.py\n", "no hunk for main.py"),
    ("--- a/main.py\n+++ b/main.py\n@@ -4,2 +4,2 @@\n def one():\n-    return 3\n+    return 10\n", r"hunk 1 of main.py \(it says line 4\) does not apply: where it has 'return 3', line 5 of the file has 'return 1'"),
    ("--- a/main.py\n+++ b/main.py\n@@ -4,2 +4,2 @@\n def one():\n-    return 1\n+    return 10\n@@ -8 +8 @@\n-def three():\n+def four():\n", "hunk 2 of main.py"),
    ("--- a/main.py\n+++ b/main.py\n@@ -4,2 +4,2 @@\n def one():\nreturn 3\n", "line 5 of the patch begins with none of blank"),
    ("--- a/main.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import os\n", "deletes main.py"),
    ("--- a/gone.py\n+++ b/gone.py\n@@ -1 +1 @@\n-a\n+b\n", "the project has no such file"),
    ("--- /dev/null\n+++ b/main.py\n@@ -0,0 +1 @@\n+b\n", "it is there already"),
    ("diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+/etc/passwd\n", "a file of another kind"),
    ("diff --git a/a.py b/b.py\nrename from a.py\nrename to b.py\n", "moves a file"),
    ("diff --git a/x.png b/x.png\nGIT binary patch\nliteral 1\n", "binary"),
    ("--- a/main.py\n+++ b/main.py\n@@ -1 +1 @@\n-import os\n+import\0os\n", "NUL"),
    ("--- a/main.py\n+++ b/main.py\n@@ -99,0 +100 @@\n+x = 1\n", "adds lines after line 99, and the file has 9"),
    ("x" * (unified.LARGEST + 1), "larger than"),
])
def test_what_does_not_fit_is_said_with_its_place(patch: str, said: str) -> None:
    """Each refusal names the hunk and what stands in the file instead, or the line of the patch that is wrong."""
    with pytest.raises(PatchError, match=said):
        laid(patch)


def test_what_is_no_text_is_refused() -> None:
    """A patch in another encoding is said so, with the byte."""
    with pytest.raises(PatchError, match=r"not UTF-8 \(byte 3\)"):
        unified.parse(b"--\xff")


def test_a_hunk_that_fits_twice_is_not_guessed() -> None:
    """Between two places at the same distance nobody is chosen."""
    text = "a = 1\nx = 1\nb = 1\nx = 1\nc = 1\n"
    with pytest.raises(PatchError, match="fits at line 2 and at line 4"):
        laid("--- a/main.py\n+++ b/main.py\n@@ -3 +3 @@\n-x = 1\n+x = 2\n", main_py=text)
