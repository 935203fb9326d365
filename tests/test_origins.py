from __future__ import annotations

import pytest

from toughen.model.blueprint import Blueprint
from toughen.origins import lookalikes, outside, sites

APP = Blueprint("x", "fastapi", None)


@pytest.mark.parametrize(
    "text",
    [
        'app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)',
        'origins = ["*"]\napp.add_middleware(CORSMiddleware, allow_origins=origins, allow_credentials=True)',
        'app.add_middleware(CORSMiddleware, allow_origin_regex=r"https?://.*", allow_credentials=True)',
        "CORS(app, supports_credentials=True)",
        'CORS(app, resources={r"/api/*": {"origins": "*"}}, supports_credentials=True)',
        'cors = CORS()\ncors.init_app(app, origins="*", supports_credentials=True)',
        'def after(response):\n    origin = request.headers.get("Origin")\n    response.headers["Access-Control-Allow-Origin"] = origin\n',
    ],
)
def test_every_site_may_read_with_the_cookie(text: str) -> None:
    """A star with credentials, a pattern that fits everybody, an echo."""
    assert [each.lax for each in sites(APP, {"main.py": text})][-1:] == [True]


@pytest.mark.parametrize(
    "text",
    [
        'app.add_middleware(CORSMiddleware, allow_origins=["*"])',
        'app.add_middleware(CORSMiddleware, allow_origins=["https://a.example"], allow_credentials=True)',
        'app.add_middleware(CORSMiddleware, allow_origin_regex=r"https://.*\\.a\\.example", allow_credentials=True)',
        "app.add_middleware(CORSMiddleware, allow_origins=settings.origins, allow_credentials=True)",
        "CORS(app)",
        'CORS(app, origins=["https://a.example"], supports_credentials=True)',
        'def after(response):\n    response.headers["Access-Control-Allow-Origin"] = "*"\n',
        'def after(response):\n    origin = request.headers.get("Origin")\n    if origin in SITES:\n        response.headers["Access-Control-Allow-Origin"] = origin\n',
    ],
)
def test_some_sites_may_or_none_with_the_cookie(text: str) -> None:
    """A list, a star without credentials, an echo of one's own list."""
    assert [each.lax for each in sites(APP, {"main.py": text})] == [False]


def test_what_the_environment_replaces() -> None:
    """A star that is a default only is not what the server runs with."""
    default = 'import os\nORIGINS = os.getenv("ORIGINS", "*").split(",")\napp.add_middleware(CORSMiddleware, allow_origins=ORIGINS, allow_credentials=True)\n'
    assert outside(APP, {"main.py": default})
    assert not outside(APP, {"main.py": "CORS(app, supports_credentials=True)\n"})


def test_origins_that_look_alike() -> None:
    """Names that begin or end like one that the source compares with."""
    text = 'def after(response):\n    if request.headers.get("Origin", "").endswith("shop.example"):\n        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]\n'
    assert lookalikes(APP, {"main.py": text}) == ["https://shop.example.tgn{}.example", "https://tgn{}shop.example"]
