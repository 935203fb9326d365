"""The HTML page and the dossier, as a browser shows them: on a phone, on paper, in the dark, by keyboard, and with hostile text in them."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from toughen.model.blueprint import Blueprint, Entry, Route, Suite
from toughen.model.finding import Evidence, Finding, NotConcluded, Severity, Status
from toughen.model.identity import Credential, Identity
from toughen.model.journey import Call, Journey, Unreached
from toughen.model.matrix import Access, Cell, Matrix, Whose
from toughen.model.past import Past
from toughen.model.patch import FileChange, Gone, Kept, Patch, RolledBack, Unmended
from toughen.model.source import Location
from toughen.model.verdict import Verdict
from toughen.report import buyer, html, stored

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Browser

HOSTILE = "</pre></code></details><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\"><style>body{display:none}</style>\"'`&lt;\u202e\x1b[31m\x00"
PLACE = Location("main.py", 12, "transfer")
ROUTES = tuple(Route("GET", f"/a/rather/long/path/of/an/endpoint/that/goes/on/{{number_{each}}}", PLACE) for each in range(9))
STORY = {
    "columns": ["POST /transfer", "POST /transfer"],
    "rows": [
        {"who": "A", "kind": "statement", "text": "SELECT balance FROM accounts_of_customers_with_a_very_long_name WHERE id = 1 -> balance 48"},
        {"who": "A", "kind": "stop", "text": "stands still"},
        {"who": "B", "kind": "statement", "text": "UPDATE users SET balance=44"},
        {"who": "B", "kind": "answer", "text": "200"},
        {"who": "A", "kind": "kill", "text": f"its process is killed {HOSTILE}"},
    ],
    "ends": ["users 1: balance 48 -> 44 and quite a lot more that has to be told of it on a line"],
    "in turn": ["users 1: balance 48 -> 40"],
}


def found(break_id: str, number: int, severity: Severity, message: str, **facts: object) -> Finding:
    evidence = Evidence(message, {"request": "POST /transfer " + "x" * 300, **facts}, PLACE)  # type: ignore[dict-item]
    return Finding(break_id, ROUTES[number].id, PLACE, Status.PROVEN, severity, message, evidence, None, (362,), "automatic")


FINDINGS = (
    found("race/lost-update", 0, Severity.CRITICAL, "two requests at once leave 105", timeline=STORY),
    found("input/crash", 1, Severity.LOW, f"n = {HOSTILE} ends in OverflowError", exception="OverflowError: " + "y" * 200, traceback="only in the traceback"),
    found("security/sql-injection", 2, Severity.HIGH, HOSTILE, answer=HOSTILE, odd={HOSTILE: [HOSTILE, None, 3]}),
    found("input/nonsense", 3, Severity.MEDIUM, "n = -17 is stored"),
    Finding("failure/hang", None, Location("other.py", 3), Status.SUSPECTED, Severity.MEDIUM, f"no time-out {HOSTILE}"),
)
CELLS = tuple(
    Cell(route.id, who, whose, access, f"seen {HOSTILE}", access is not Access.REFUSED)
    for route in ROUTES
    for who, whose, access in (
        ("anonymous", Whose.NONE, Access.REFUSED), ("garbage", Whose.NONE, Access.REFUSED), ("customer", Whose.OWN, Access.ALLOWED), ("customer", Whose.OTHER, Access.MISSING),
        ("administrator", Whose.OTHER, Access.UNDECIDED), ("editor_in_chief", Whose.NONE, Access.ALLOWED),
    )
)
RUNS = tuple(Past(f"2026-01-0{day}T12:00:00Z", "0.1.0", "check", "harden", (), {"race": {"critical": 9 - day}}, 0, 9, 8, 20.0, findings=str(day)) for day in range(1, 8))
VERDICT = Verdict(
    Blueprint(f"shop {HOSTILE}", "fastapi", Entry("main:app", "main.py", "", "fastapi"), ROUTES, suite=Suite(tests=7), database="sqlite", lines=812), "harden", "4 breaks proven", FINDINGS,
    (NotConcluded("input/nonsense", ROUTES[4].id, f"the control does not pass {HOSTILE}"),), tuple(Journey(each.id, (Call(each.id),), 200) for each in ROUTES[:8]),
    (Unreached(ROUTES[8].id, f"always 500: KeyError {HOSTILE}", 500),), (Identity(f"user1{HOSTILE}", None, Credential(), "signup"),), {"total_s": 12.3}, (f"sandbox: full {HOSTILE}",),
    (
        (FINDINGS[0].id, Kept(Patch(FINDINGS[0].id, (FileChange("main.py", "a\nb\n", f"a\nc {HOSTILE.replace(chr(0), '')} {'z' * 300}\n"),), f"let the database add {HOSTILE}"))),
        (FINDINGS[3].id, Gone(FINDINGS[0].id)),
        (FINDINGS[1].id, RolledBack(Patch(FINDINGS[1].id, (FileChange("main.py", "a\n", "b\n"),), "refuse"), "tests", f"1 test fails {HOSTILE}", "Read `main.py`.")),
        (FINDINGS[2].id, Unmended(f"no repair {HOSTILE}", HOSTILE)),
    ),
    matrix=Matrix(("customer", "administrator", "editor_in_chief"), CELLS), history=RUNS,
)
REPORT = stored.of(VERDICT, "0.1.0")


@pytest.fixture(params=["report", "dossier"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The report and the dossier, as files."""
    place = tmp_path / "page.html"
    place.write_text(html.render(VERDICT, "0.1.0") if request.param == "report" else buyer.page(REPORT, None, "ab" * 32), encoding="utf-8")
    return place


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The report, as a file."""
    place = tmp_path / "report.html"
    place.write_text(html.render(VERDICT, "0.1.0"), encoding="utf-8")
    return place


OPEN = "document.querySelectorAll('details').forEach(each => each.open = true)"


def test_a_page_needs_nothing_and_complains_of_nothing(browser: Browser, file: Path) -> None:
    """No request leaves the page, nothing stands in the console, and its style is taken although the policy allows nothing else."""
    with browser.open(file) as page:
        assert page.complaints() == []
        assert page.requests() == []
        assert page.run("getComputedStyle(document.querySelector('.scroll')).overflowX") == "auto"


def test_hostile_text_stays_text(browser: Browser, file: Path) -> None:
    """Whatever a prototype, a finding or a patch is called: it executes nothing, adds no element, hides nothing, and can be read."""
    with browser.open(file) as page:
        page.run(OPEN)
        assert page.complaints() == []
        assert page.run("document.title").startswith("shop </pre>")
        assert page.run("document.querySelectorAll('script, img, iframe, object, [style], [onerror]').length") == 0
        assert page.run("document.querySelectorAll('style').length") == 1
        text = page.run("document.body.innerText")
        assert "<script>document.title='broken'</script>" in text
        assert not {"\u202e", "\x1b", "\x00"} & set(text)
        assert r"\u202e\u001b[31m\u0000" in text


def test_the_policy_stops_what_would_slip_through(browser: Browser, tmp_path: Path) -> None:
    """Were a script or a style put into the page after all, the browser refuses it: the second wall stands by itself."""
    file = tmp_path / "page.html"
    file.write_text(html.render(VERDICT, "0.1.0").replace("<main", "<script>document.title='broken'</script><style>main{display:none}</style><img src='http://127.0.0.1:9/x'><main"), encoding="utf-8")
    with browser.open(file) as page:
        assert len([each for each in page.complaints() if "Content Security Policy" in each]) >= 3
        assert page.run("document.title") != "broken"
        assert page.run("getComputedStyle(document.querySelector('main')).display") == "block"


@pytest.mark.parametrize("width", [320, 360, 768])
def test_a_phone_scrolls_down_only(browser: Browser, file: Path, width: int) -> None:
    """At 360 pixels (and fewer) nothing sticks out of the page, with every part opened; tables scroll for themselves."""
    with browser.open(file, width=width) as page:
        page.run(OPEN)
        out = """[...document.querySelectorAll('body *')].filter(each => !each.parentElement.closest('.scroll') && each.getBoundingClientRect().right > innerWidth + 1)
            .map(each => each.outerHTML.slice(0, 200))"""
        assert page.run(out) == []
        assert page.run("document.documentElement.scrollWidth") == width


def test_dark_is_dark_and_light_is_light(browser: Browser, file: Path) -> None:
    """The page follows the system: its ground is light or dark, and the two pictures differ."""
    grounds, pictures = [], []
    for scheme in ("light", "dark"):
        with browser.open(file, scheme=scheme) as page:
            grounds.append(page.run("getComputedStyle(document.body).backgroundColor"))
            pictures.append(page.picture())
    assert grounds == ["rgb(255, 255, 255)", "rgb(19, 22, 25)"]
    assert pictures[0] != pictures[1]


CONTRAST = """
    (() => {
        const light = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(each => each / 255).map(each => each <= .04045 ? each / 12.92 : ((each + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
        const ground = each => { for (; each; each = each.parentElement) { const colour = getComputedStyle(each).backgroundColor; if (!/, 0\\)|transparent/.test(colour)) return colour; } return 'rgb(255, 255, 255)'; };
        const faults = [];
        let seen = 0;
        for (const each of document.querySelectorAll('body *')) {
            if (![...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()) || each.tagName === 'STYLE' || each.tagName === 'PROGRESS') continue;
            const style = getComputedStyle(each), colour = each instanceof SVGElement ? style.fill : style.color;
            const [a, b] = [light(colour), light(ground(each))];
            const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
            seen += 1;
            if (ratio < 4.5) faults.push(`${ratio.toFixed(2)} ${colour} on ${ground(each)}: ${each.outerHTML.slice(0, 120)}`);
        }
        return seen > 100 ? faults : ['nothing was measured'];
    })()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, file: Path, scheme: str) -> None:
    """Each text stands out from its ground by 4.5 to 1 at least (WCAG 2.2, 1.4.3), in the light and in the dark."""
    with browser.open(file, scheme=scheme) as page:
        page.run(OPEN)
        assert page.run(CONTRAST) == []


def test_paper_shows_what_was_folded(browser: Browser, report: Path, tmp_path: Path) -> None:
    """Printed from the dark with everything folded: the page is light, and evidence, traceback and diff are on it."""
    reader = shutil.which("pdftotext")
    assert reader, "this test needs pdftotext: install the package `poppler-utils` (.ci/run does)"
    with browser.open(report, scheme="dark") as page:
        assert page.run("document.querySelectorAll('details.finding[open]').length") == 0
        (tmp_path / "page.pdf").write_bytes(page.pdf())
    text = subprocess.run([reader, "-layout", tmp_path / "page.pdf", "-"], capture_output=True, text=True, timeout=60, check=True).stdout
    for each in ("only in the traceback", "stands still", "+1 -1 lines", "1 test fails", "not tested"):
        assert each in text
    with browser.open(report, scheme="dark", media="print") as page:
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.run("getComputedStyle(document.querySelector('.tall')).maxHeight") == "none"


def test_a_keyboard_reaches_and_opens_everything(browser: Browser, report: Path) -> None:
    """Tab goes to the skip link, to the contents, to every finding and to the tables that scroll; Enter opens a finding."""
    with browser.open(report) as page:
        stops = []
        for _ in range(60):
            page.press("Tab", 9)
            stops.append(page.run("document.activeElement.className || document.activeElement.tagName"))
            if page.run("document.activeElement.matches('.finding > summary')") and "opened" not in stops:
                page.ask("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
                assert page.run("document.activeElement.parentElement.open") is True
                stops.append("opened")
        assert stops[0] == "skip"
        assert {"opened", "scroll tall", "scroll", "SUMMARY", "A"} <= set(stops)


def test_a_screen_reader_finds_its_way(browser: Browser, file: Path) -> None:
    """One first heading, no level is skipped, landmarks and tables have names, pictures say what they are, and ids are unique."""
    with browser.open(file) as page:
        levels = page.run("[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(each => Number(each.tagName[1]))")
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert page.run("document.querySelectorAll('header, nav, main, footer').length") == 4
        assert page.run("document.querySelectorAll('table').length === document.querySelectorAll('table > caption').length")
        assert page.run("[...document.querySelectorAll('svg')].every(each => each.getAttribute('role') === 'img' && each.getAttribute('aria-label'))")
        assert page.run("(ids => ids.length === new Set(ids).size)([...document.querySelectorAll('[id]')].map(each => each.id))")
        assert page.run("[...document.querySelectorAll('a[href^=\"#\"]')].every(each => document.getElementById(each.getAttribute('href').slice(1)))")
        names = [each["name"]["value"] for each in page.ask("Accessibility.getFullAXTree")["nodes"] if each.get("role", {}).get("value") == "region"]
        assert names
        assert all(names)


def test_the_matrix_needs_no_colour(browser: Browser, report: Path) -> None:
    """Each cell says in words what its colour says, and the heads stay while the table scrolls."""
    with browser.open(report, width=360, height=640) as page:
        words = page.run("[...document.querySelectorAll('.matrix tbody tr:first-child td')].map(each => each.textContent)")
        assert words == ["✕ refused", "✕ refused", "! all must not", "? all undecided", "✓ works"]
        page.run("document.querySelector('.tall').scrollTo(200, 300)")
        head, row, box = page.run(
            "['thead th:nth-child(2)', 'tbody tr:nth-child(5) th', ''].map(each => document.querySelector('.tall ' + (each || 'table')).parentElement && (each ? document.querySelector('.tall ' + each) : document.querySelector('.tall')).getBoundingClientRect()).map(each => [each.left, each.top])"
        )
        assert abs(head[1] - box[1]) <= 2
        assert abs(row[0] - box[0]) <= 2


def test_a_founder_reads_the_verdict_first(browser: Browser, report: Path) -> None:
    """The heading says in a sentence where it stands, the cards count what is left in each place and say what was not asked, the history what it was."""
    with browser.open(report) as page:
        assert page.run("document.querySelector('h1').innerText").replace("\n", " ") == "Not ready yet: 2 breaks of 4 are left."
        cards = page.run("[...document.querySelectorAll('.card')].map(each => each.querySelector('.title').innerText + ' ' + each.querySelector('.number').innerText)")
        assert cards == ["Input 1", "Failure 0", "Security 1", "Race 0", "Suite —", "Operations 0"]
        assert page.run("document.querySelector('.trend svg').getAttribute('aria-label')") == "Breaks left after the last 7 whole runs: 8, 7, 6, 5, 4, 3, 2"
        assert page.run("[...document.querySelectorAll('#history .scroll, #coverage .scroll')].every(each => each.scrollWidth <= each.clientWidth)")
        assert "toughen replay .toughen/proofs/race-lost-update-" in page.run("document.body.textContent")


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (replace(VERDICT, findings=(), mends=(), decision="ready"), "Ready: no break was proven."),
        (replace(VERDICT, findings=(), mends=()), "No break was proven, and too little was reached to call it ready."),
        (replace(VERDICT, findings=(), mends=(), booted=False, matrix=None, history=()), "Nothing was executed, so nothing is known for certain."),
        (replace(VERDICT, findings=FINDINGS[:1], mends=VERDICT.mends[:1]), "Hardened: the one break is mended."),
        (replace(VERDICT, mends=()), "Not ready: 4 breaks proven, 1 of them critical."),
        (replace(VERDICT, history=(replace(RUNS[0], verb="fix --dry-run"),)), "Not ready: 4 breaks proven, 1 of them critical."),
        (replace(VERDICT, findings=(), mends=(), decision="ready", history=(replace(RUNS[0], only=("race",)),)), "Of what this run looked for: none was proven."),
    ],
)
def test_the_verdict_is_one_sentence(verdict: Verdict, said: str) -> None:
    """Clean, not reached, not booted, mended, broken: each has its own sentence, and none promises more than was executed or looked for."""
    assert f"<h1>{said}</h1>" in html.render(verdict, "0.1.0")


def test_the_largest_report_stays_a_page(browser: Browser, tmp_path: Path) -> None:
    """A thousand findings with texts of a megabyte are cut where they are shown, and the page still opens."""
    many = tuple(replace(FINDINGS[0], route=f"GET /{number}", evidence=Evidence("m", {"answer": "x" * (1_000_000 if number < 5 else 10)})) for number in range(1000))
    file = tmp_path / "page.html"
    file.write_text(html.render(replace(VERDICT, findings=many, mends=(), matrix=None), "0.1.0"), encoding="utf-8")
    assert file.stat().st_size < 4_000_000
    with browser.open(file, width=360) as page:
        assert page.run("document.querySelectorAll('details.finding').length") == 1000
        assert "996,000 more characters" in page.run("document.body.textContent")
        assert page.complaints() == []


def test_the_dossier_as_data_is_the_dossier() -> None:
    """JSON and page are made of the same answers."""
    document = json.loads(buyer.document(REPORT, None, "ab" * 32))
    shown = buyer.page(REPORT, None, "ab" * 32)
    for answer in document["answers"]:
        assert f'<p class="short">{answer["answer"]}</p>' in shown
