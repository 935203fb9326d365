from __future__ import annotations

import pytest

from toughen.codemod.module import Module, UnmendableError
from toughen.codemod.naming import imported
from toughen.model.blueprint import Entry


def entry(root: str = ".", package: str = "") -> Entry:
    return Entry("main:app", "main.py", "", "fastapi", import_root=root, package=package)


@pytest.mark.parametrize(
    ("here", "text", "there", "root", "line"),
    [
        ("main.py", "import os\n", "passwords.py", ".", "import passwords"),
        ("api/users.py", "from models.user import User\n", "models/passwords.py", ".", "from models import passwords"),
        ("backend/app/main.py", "import os\n", "backend/app/passwords.py", "backend", "from app import passwords"),
        ("app/routers/users.py", "from ..database import db\n", "app/core/passwords.py", ".", "from ..core import passwords"),
        ("app/auth.py", "from .database import db\n", "app/passwords.py", ".", "from . import passwords"),
    ],
)
def test_the_way_that_the_file_imports(here: str, text: str, there: str, root: str, line: str) -> None:
    """Relatively where the file does so already, else from where the entry's imports start."""
    name, draft = imported(Module(here, text), there, entry(root))
    assert name == "passwords"
    assert line in draft.done().splitlines()


def test_a_root_that_is_itself_a_package() -> None:
    """Its own name comes first."""
    assert "from shop import passwords" in imported(Module("main.py", "import os\n"), "passwords.py", entry(package="shop"))[1].done()


def test_what_no_import_reaches() -> None:
    """A file beside the folder that imports start from cannot be named."""
    with pytest.raises(UnmendableError, match="outside"):
        imported(Module("main.py", "import os\n"), "passwords.py", entry("backend"))
