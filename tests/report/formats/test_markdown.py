"""The Markdown report: what a reviewer reads, and what a prototype cannot make of it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from toughen.model.source import Location
from toughen.report import markdown, plain

if TYPE_CHECKING:
    from toughen.model.verdict import Verdict


def outside(text: str) -> str:
    """The text without its fenced blocks, each of which is closed by its own fence."""
    kept: list[str] = []
    fence = ""
    for line in text.split("\n"):
        ticks = re.match(r"`{3,}", line)
        if fence:
            if ticks and line == ticks[0] and len(line) >= len(fence):
                fence = ""
        elif ticks:
            assert "`" not in line[len(ticks[0]) :]
            fence = ticks[0]
        else:
            kept.append(line)
    assert not fence, "a fence is left open"
    return "\n".join(kept)


def cells(row: str) -> int:
    """How many cells a host sees in a row of a table: no pipe of this report is escaped, so each of them divides."""
    return row.count("|") - 1


def balanced(text: str) -> None:
    """Every <details> is closed, one after the other, and no other element is there than those of this report."""
    open_ = 0
    for closing, name in re.findall(r"<(/?)([a-z]+)[^>]*>", text):
        assert name in {"details", "summary", "code", "br"}
        if name == "details":
            open_ += -1 if closing else 1
            assert open_ in {0, 1}
    assert open_ == 0


@pytest.mark.parametrize("name", ["verdict", "mended", "hostile", "dead"])
def test_it_is_whole_and_fits(name: str, request: pytest.FixtureRequest) -> None:
    """Below 60,000 bytes, no fence and no <details> left open, no table row of another width, whatever the prototype says."""
    text = markdown.render(request.getfixturevalue(name), "0.1.0")
    assert len(text.encode()) < 60_000
    shown = outside(text)
    balanced(shown.replace(markdown.MARK, ""))
    rows = [each for each in shown.split("\n") if each.startswith("|")]
    assert len({cells(each) for each in rows}) <= 1


def test_a_reviewer_sees_the_verdict_and_each_proven_break(verdict: Verdict) -> None:
    """The decision first, then what breaks, where, and how to see it again; evidence with its picture below."""
    text = markdown.render(verdict, "0.1.0")
    assert text.startswith("<!-- toughen -->\n\n## toughen: 🛠️ harden\n\n**2 breaks proven, 1 of them critical.**")
    row = next(each for each in text.split("\n") if each.startswith("| 🟥 critical |"))
    assert "Two requests at once, and one change is lost" in row
    assert plain.code("main.py:12") in row
    assert "`toughen replay .toughen/proofs/race-lost-update-POST-transfer.json`" in row
    assert "· stands still" in text
    assert "one after the other  users 1: balance 10 -> 0" in text
    assert "Reached **2 of 3 routes**" in text
    assert "was not reached, and not attacked" in text
    assert "the control does not pass" in text
    assert "no route tells" in text


def test_what_became_of_repairs_is_told_with_the_diff(mended: Verdict) -> None:
    """Kept ones with their change, those that were taken back with the reason."""
    text = markdown.render(mended, "0.1.0")
    assert "```diff\n--- a/main.py\n+++ b/main.py\n" in text
    assert "+    a = 2" in text
    assert "| mended |" in text
    assert "taken back, at the step tests: 1 test fails" in text
    assert "5 of 6 are mended" in text


def test_a_prototype_that_does_not_boot_is_told(dead: Verdict) -> None:
    """Nothing is claimed about what was not executed."""
    text = markdown.render(dead, "0.1.0")
    assert "nothing was executed" in text
    assert "RuntimeError: no luck" in text
    assert "Reached" not in text


def test_nothing_that_a_prototype_says_is_markup(hostile: Verdict) -> None:
    """Outside of fences it mentions nobody, links nowhere, refers to no issue, opens no element and no code."""
    text = outside(markdown.render(hostile, "0.1.0"))
    code = re.findall(r"`[^`\n]*`", text)
    assert text.count("`") == 2 * len(code)
    assert all(re.fullmatch(r"`(toughen (replay|check) )?[A-Za-z0-9/._ -]+`", each) for each in code)
    shown = re.sub(r"`[^`\n]*`", "", text)
    assert "octocat" in shown
    for pattern in (r"@\w", r"(?<!&)#\d", r"https?://", r"www\.", r"\]\(", r"<img", r"<!-- -->", r"~~~", r"GH-\d", r"[\x00-\x08\x0b-\x1f\x7f\u2028\u202e\ud800-\udfff]"):
        assert not re.search(pattern, shown), pattern


@pytest.mark.parametrize("text", ["a|b", "`", "\\|", "*a*", "@all", "<b>", "![x](y)", "#1", "a\nb", ":tada:", "$x$", "- a", "~~a~~"])
def test_prose_stands_for_itself(text: str) -> None:
    """No character of it that Markdown or HTML reads is left; what a reader sees is the text."""
    shown = plain.prose(text)
    assert not re.search(r"[|`*<>\[\]~$\\\n]|@\w|^-", shown)
    seen = re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), shown).replace("\u200b", "")
    assert seen == " ".join(text.split())


def test_a_fence_is_longer_than_every_one_inside() -> None:
    """Source that holds fences cannot close the block that it is shown in."""
    assert plain.fenced("a\n`````\nb").startswith("``````\n")


def test_what_does_not_fit_is_counted(verdict: Verdict) -> None:
    """A hundred breaks with long evidence: as many as there is room for are told whole, the rest is counted; a short one behind a long one is still told."""
    many = tuple(replace(verdict.findings[0], route=f"POST /{number}", location=Location("main.py", number + 1)) for number in range(300))
    text = markdown.render(replace(verdict, findings=many), "0.1.0")
    told = text.count("<summary>🟥")
    assert 10 < text.count("stands still") <= told < 300
    assert f"{300 - told} of 300 have no room here" in text
    assert len(text.encode()) > 45_000


def test_the_command_that_replays_is_safe_to_copy(hostile: Verdict) -> None:
    """It holds nothing that a shell reads, whatever a route is called."""
    assert re.fullmatch(r"toughen replay [A-Za-z0-9._/-]+", plain.replay(hostile.findings[0]))
