"""Owns input/unbounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import curbs, extents, flows, freight, patterns
from toughen.cargo import (
    AVATARS,
    BOOKS,
    BUNDLES,
    COUNTS,
    DIARY,
    DIGESTS,
    FINDER,
    GALLERY,
    NOTES,
    OWN,
    SHOP,
    TRIAL,
    WORDS,
)
from toughen.model.finding import Severity
from toughen.rule import Broken, Rule, Sound, Unclear
from toughen.specimens import FASTAPI_NEEDS, SESSION_NEEDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_JUDGES = {"page": extents.paged, "whole": extents.whole, "list": extents.listed, "body": freight.grown, "upload": freight.grown, "raw": freight.grown, "archive": freight.grown, "type": freight.typed, "pattern": patterns.steep}
_MENDS = {"page": curbs.page, "whole": curbs.rows, "list": curbs.length, "body": curbs.body, "upload": curbs.body, "raw": curbs.body, "archive": curbs.archive, "type": curbs.kind, "pattern": patterns.mends}


class Unbounded(Rule):
    """The client says how much work one request is, and nothing bounds it: rows of a page, elements of a list, bytes of a file.

    Who pays: everybody else. One request that reads a million rows, works off a hundred thousand elements, writes a file of
    gigabytes or tries a steep pattern takes the memory, the disk and the worker that the others wait for.

    Shown, each beside an honest request: a huge page makes the database hand out all rows that the lab wrote; so does a
    listing without pages, of a table that clients fill (low); a long list costs a statement, a row or a request for each
    element; a text of megabytes (low), a file larger than the usual bound, or what a small archive unpacks to lies on the
    disk, or in memory: its process grows by what is sent, at two sizes, and hardly at the honest one; a handler that refuses
    a page of HTML stores it under another name; a pattern of the client's takes many times as long for four letters more.
    Bounds of a proxy in front are not seen.

    Example: `db.query(Item).limit(limit)` with `limit: int = 100`; `for item in order.items` with `items: list[Item]`;
    `file.save(path)` or `file.read()` without MAX_CONTENT_LENGTH; `archive.extractall(folder)`; `re.compile(request.args["q"])`.
    Instead: say the most where the value enters: `Query(100, le=100)`, `Field(max_length=100)`, a greatest length of all
    bodies, a list of file endings, the sum of an archive's sizes before it is unpacked; a text to look for, escaped.

    References: CWE-770, CWE-400, CWE-409, CWE-434, CWE-1333; OWASP API4:2023; ASVS 5.0 V2.2.1, V5.2.1.
    """

    id = "input/unbounded"
    title = "One request may be as much work as its sender likes"
    severity = Severity.MEDIUM
    cwe = (770, 400, 409, 434, 1333)
    owasp = "API4:2023"
    asvs = "V2.2.1"
    order = 52

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Sizes that the source asks for no bound of."""
        yield from curbs.unpaged(self.id, blueprint, sources)
        yield from curbs.unlisted(self.id, blueprint, sources)
        yield from curbs.unweighed(self.id, blueprint, sources)
        yield from flows.suspected(self.id, blueprint, sources, patterns.PATTERN)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Huge pages, whole tables, long lists, long texts, large files, archives that unpack to more, steep patterns."""
        yield from extents.pages(target, route, journey)
        yield from extents.wholes(target, route, journey)
        yield from extents.lists(target.texts(), journey)
        yield from freight.bodies(target, route)
        yield from freight.raws(target, route, journey)
        yield from freight.files(target, route, journey)
        yield from patterns.experiments(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest size costs little, and the hostile one is granted."""
        judge = _JUDGES.get(experiment.fact("kind"))
        return judge(experiment, traces) if judge is not None else Unclear("this version does not know this kind of size")

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A bound where the size enters."""
        evidence = finding.evidence
        mend = _MENDS.get(evidence.fact("kind")) if evidence is not None else None
        if evidence is not None and mend is not None:
            yield from mend(finding, evidence, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(NOTES, "GET /notes"),
        Broken(SHOP, "GET /items", SESSION_NEEDS),
        Broken(NOTES.replace('int(request.args.get("per_page", 20))', 'min(int(request.args.get("per_page", 20)), 100)'), "GET /notes", unseen="it is capped, and only SQLite takes a LIMIT below 0 for none"),
        Broken(SHOP, "POST /items/batch", SESSION_NEEDS),
        Broken(BOOKS, "GET /books", unseen="that a listing reads a whole table is seen when it runs", unmended="would miss rows"),
        Broken(DIARY, "POST /entries", SESSION_NEEDS, unseen="that no server in front bounds bodies stands nowhere in the source"),
        Broken(GALLERY, "POST /pictures"),
        Broken(AVATARS, "POST /avatars", ("fastapi", "python-multipart")),
        Broken(BUNDLES, "POST /bundles"),
        Broken(COUNTS, "POST /count"),
        Broken(DIGESTS, "POST /digest", ("fastapi", "python-multipart")),
        Broken(WORDS, "POST /words"),
        Broken(FINDER, "GET /notes", unmended="cannot be kept from a steep pattern"),
        Broken(TRIAL, "POST /patterns/try", ("fastapi",), unmended="cannot be kept from a steep pattern"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(NOTES.replace('int(request.args.get("per_page", 20))', 'max(1, min(int(request.args.get("per_page", 20)), 100))'), "a page has 100 rows at the most"),
        Sound(SHOP.replace("limit: int = 100", "limit: int = Query(100, ge=1, le=200)").replace("import Depends,", "import Depends, Query,").replace("items: List[ItemIn]", "items: List[ItemIn] = Field(max_length=50)"), "both have their bound", SESSION_NEEDS),
        Sound(BOOKS.replace("FROM books ORDER BY id", "FROM books ORDER BY id DESC LIMIT 50"), "fifty of the newest; and the shelves are those of the source"),
        Sound(OWN, "a listing of one's own rows", FASTAPI_NEEDS),
        Sound(DIARY.replace("import BaseModel", "import BaseModel, Field").replace("    title: str\n    body: str", "    title: str = Field(max_length=200)\n    body: str = Field(max_length=20_000)"), "a text has its bound where it enters", SESSION_NEEDS),
        Sound(GALLERY.replace("app = Flask(__name__)", 'app = Flask(__name__)\napp.config["MAX_CONTENT_LENGTH"] = 16 * 1024 * 1024').replace(
            "    name = uuid", '    if os.path.splitext(picture.filename)[1].lower() not in {".png", ".jpg"}:\n        return jsonify({"error": "Only png and jpg files are allowed"}), 400\n    name = uuid'
        ), "size and ending are asked"),
        Sound(GALLERY.replace("""    if not picture.mimetype.startswith("image/"):
        return jsonify({"error": "Only images are allowed"}), 400
""", "").replace("app = Flask(__name__)", 'app = Flask(__name__)\napp.config["MAX_CONTENT_LENGTH"] = 4 * 1024 * 1024'), "it takes files of all kinds, and says so"),
        Sound(AVATARS.replace("    with open", """    if len(await file.read()) > 5 * 1024 * 1024:
        raise HTTPException(status_code=413, detail="The file is too large")
    await file.seek(0)
    with open"""), "the size is asked before the file is written", ("fastapi", "python-multipart")),
        Sound(BUNDLES.replace("            archive.extractall", """            if sum(each.file_size for each in archive.infolist()) > 40_000_000:
                return jsonify({"error": "too much"}), 413
            archive.extractall"""), "the members' sizes are added up first"),
        Sound(COUNTS.replace("""    try:
        text = table.read().decode("utf-8")
    except UnicodeDecodeError:
        return jsonify({"error": "not a text"}), 400
    rows = sum(1 for row in csv.reader(io.StringIO(text)) if row)
""", """    rows = sum(1 for line in table.stream if line.strip())
"""), "lines are counted as they come"),
        Sound(COUNTS.replace("app = Flask(__name__)", 'app = Flask(__name__)\napp.config["MAX_CONTENT_LENGTH"] = 4 * 1024 * 1024'), "no body is larger than 4 MiB"),
        Sound(DIGESTS.replace("""    content = await file.read()
""", """    found = hashlib.sha256()
    while piece := await file.read(65536):
        found.update(piece)
""").replace("hashlib.sha256(content)", "found"), "the file is read in pieces", ("fastapi", "python-multipart")),
        Sound(DIGESTS.replace("import FastAPI", "import HTTPException, FastAPI").replace("    content =", """    if file.size > 5 * 1024 * 1024:
        raise HTTPException(status_code=413, detail="The file is too large")
    content ="""), "the size is asked before the file is read", ("fastapi", "python-multipart")),
        Sound(DIGESTS.replace("app = FastAPI()", """app = FastAPI()

@app.middleware("http")
async def at_the_door(request, call_next):
    if int(request.headers.get("content-length") or 0) > 4_000_000:
        return JSONResponse({"detail": "Too large"}, status_code=413)
    return await call_next(request)
""").replace("app = FastAPI()", "from fastapi.responses import JSONResponse\napp = FastAPI()", 1), "a middleware turns long bodies away", ("fastapi", "python-multipart")),
        Sound(WORDS.replace("""                found += len(archive.read(name).split())
""", """                with archive.open(name) as member:
                    for piece in iter(lambda: member.read(65536), b""):
                        found += piece.count(b" ")
"""), "what the archive holds is unpacked in pieces", alike="how much of it is held at a time is seen only when it runs"),
        Sound(FINDER.replace("re.compile(wanted", "re.compile(re.escape(wanted)"), "what is sought is escaped"),
        Sound(TRIAL.replace("    if len", "    if re.search(r'[+*}]\\)?[+*{]', data.pattern):\n        raise HTTPException(status_code=400, detail=\"Too steep\")\n    if len"), "steep patterns are refused", ("fastapi",), alike="what the test keeps out is seen only when it runs"),
    ]
