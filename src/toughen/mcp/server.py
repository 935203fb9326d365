"""Owns the tools as agents see them: what may be asked, of which folders, and how the progress of a run is told."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK reads annotations at runtime
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from toughen.errors import ToughenError
from toughen.mcp import results
from toughen.mcp.runs import Runs
from toughen.report.stored import Report
from toughen.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

INSTRUCTIONS = """toughen proves where a Python web backend (FastAPI, Flask, Django) breaks, and decides whether a repair holds. You write, it decides.
Begin with `check`. Findings with mend = automatic: `fix` (it writes nothing unless dry_run = false). The others carry a brief: read it and the source, write a
patch, hand it to `accept`; a refusal says which step failed and why. `explain` has the page of a break, `replay` executes a stored proof again, `gate` asks what CI asks, `report` tells the last run."""
SETTING_UP = 1800.0
"""Seconds that a call has beside its budget: for the environment, the boots, and the trials of mends."""
_QUICK = 300.0

Result = TypeVar("Result", bound=BaseModel)
FolderPath = Annotated[str, Field(description="The prototype's folder; relative to the folder that the server serves.")]
Only = Annotated[list[str] | None, Field(description="Breaks (race/lost-update) or places (race) to look for; none looks for all.")]
App = Annotated[str | None, Field(description="The application, where several are found: module:attribute.")]


class Tools:
    """The tools, over the folders that they may touch."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        """Take the folders at and below which prototypes may lie; relative paths begin at the first."""
        self.roots = roots
        self.runs = Runs()

    async def survey(self, context: Context[Any, Any], path: FolderPath = ".", app: App = None) -> results.Surveyed:
        """Say what the source alone tells: framework, routes with their guards, tables, roles, what looks suspicious. Nothing is executed."""
        return await self._call(context, results.Surveyed, "survey", self._folder(path), _QUICK, app=app)

    async def check(self, context: Context[Any, Any], path: FolderPath = ".", only: Only = None, budget: results.Budget = 300.0, app: App = None) -> results.Checked:
        """Prove where the prototype breaks, by executing it on a throw-away copy. Minutes, not seconds. Findings without an automatic mend carry a brief."""
        return await self._call(context, results.Checked, "check", self._folder(path), budget + SETTING_UP, only=only or [], budget=budget, app=app)

    async def explain(self, context: Context[Any, Any], break_id: Annotated[str, Field(description="A break: race/lost-update.")]) -> results.Explained:
        """Say what a break is, who pays for it, and what to do instead."""
        # It is about no project: it waits for nobody's run.
        return await self._call(context, results.Explained, "explain", Path("/"), _QUICK, within=False, break_id=break_id)

    async def replay(
        self, context: Context[Any, Any], proof: Annotated[str, Field(description="A file below .toughen/proofs/ of a prototype, as `check` names it, behind the prototype's folder.")], budget: results.Budget = 300.0, app: App = None
    ) -> results.Replayed:
        """Execute a stored proof again in a fresh boot: proven (it still breaks), gone, or inconclusive."""
        file = self._place(proof)
        if not file.is_file() or file.parent.parts[-2:] != (".toughen", "proofs"):
            raise ToolError(f"{proof} is no stored proof\n`check` names them: PATH/.toughen/proofs/....json")
        return await self._call(context, results.Replayed, "replay", self._folder(str(file.parent.parent.parent)), budget + SETTING_UP, within=False, proof=str(file), budget=budget, app=app)

    async def fix(
        self, context: Context[Any, Any], path: FolderPath = ".", only: Only = None, budget: results.Budget = 300.0, app: App = None,
        *, dry_run: Annotated[bool, Field(description="true shows the diffs and writes nothing; false writes what is kept, into a git tree without uncommitted changes.")] = True,
        tests: Annotated[bool, Field(description="true adds regression tests of what was mended to the project's own suite.")] = True,
    ) -> results.Fixed:
        """Mend what was proven, each mend kept only if the break is gone and everything honest still works. Check first: it proves all over again."""
        return await self._call(context, results.Fixed, "fix", self._folder(path), budget + SETTING_UP, only=only or [], budget=budget, app=app, dry_run=dry_run, tests=tests)

    async def accept(
        self, context: Context[Any, Any], finding: Annotated[str, Field(description="Id of a proven finding, or the file of its proof.")], path: FolderPath = ".",
        patch: Annotated[str | None, Field(description="A unified diff, paths relative to the prototype's folder. Either this or `files`.")] = None,
        files: Annotated[dict[str, str] | None, Field(description="The whole new text of each file that changes, by its path relative to the prototype's folder.")] = None,
        budget: results.Budget = 300.0, app: App = None, *, write: Annotated[bool, Field(description="true writes the patch into the prototype's files once it is accepted.")] = False,
    ) -> results.Accepted:
        """Hand in a patch for a finding. It is tried on a copy: the break must be gone, twice, every honest client must get what it got, and the tests that passed must pass."""
        return await self._call(context, results.Accepted, "accept", self._folder(path), budget + SETTING_UP, finding=finding, patch=patch, files=files, budget=budget, app=app, write=write)

    async def gate(
        self, context: Context[Any, Any], path: FolderPath = ".", only: Annotated[list[str] | None, Field(description="Gates (types, tests, proofs); none asks all.")] = None,
        budget: results.Budget = 300.0, app: App = None, base: Annotated[str, Field(description="With `changed`: the commit or branch to hold the change against.")] = "",
        *, changed: Annotated[bool, Field(description="true looks at what changed only.")] = False,
    ) -> results.Held:
        """Ask the gates that CI asks: types, lint, tests, coverage, guards, secrets, dependencies, authorization, proofs, operations, each with a yes or no."""
        return await self._call(context, results.Held, "gate", self._folder(path), budget + SETTING_UP, only=only or [], budget=budget, app=app, base=base, changed=changed)

    async def report(self, context: Context[Any, Any], path: FolderPath = ".") -> Report:
        """Tell the report of the last run again, whole; nothing is executed."""
        return await self._call(context, Report, "report", self._folder(path), _QUICK)

    def _place(self, path: str) -> Path:
        place = (self.roots[0] / Path(path).expanduser()).resolve()
        if not any(place.is_relative_to(root) for root in self.roots):
            raise ToolError(f"{path} lies outside of what this server serves ({', '.join(map(str, self.roots))})\nwhoever starts it says which folders: toughen mcp --root FOLDER")
        return place

    def _folder(self, path: str) -> Path:
        place = self._place(path)
        if not place.is_dir():
            raise ToolError(f"{path} is not a folder\nname the folder that holds the prototype")
        return place

    async def _call(self, context: Context[Any, Any], kind: type[Result], verb: str, root: Path, seconds: float, *, within: bool = True, **arguments: Any) -> Result:  # noqa: ANN401
        """Have a worker do it, and tell its steps as progress. Raises ToolError."""
        told = 0

        async def tell(text: str) -> None:
            nonlocal told
            told += 1
            await context.report_progress(told, None, text)

        try:
            answer = await self.runs.run(root, verb, {**({"path": str(root)} if within else {}), **arguments}, tell, seconds)
        except ToughenError as error:
            raise ToolError(f"{error.message}\n{error.hint}" if error.hint else error.message) from error
        return kind.model_validate_json(json.dumps(answer))


def built(roots: tuple[Path, ...]) -> MCPServer[Any]:
    """The server over these folders."""
    server: MCPServer[Any] = MCPServer("toughen", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")
    tools = Tools(roots)
    reading = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    recording = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
    writing = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)
    offered: tuple[tuple[Callable[..., Any], ToolAnnotations], ...] = (
        (tools.survey, reading), (tools.check, recording), (tools.explain, reading), (tools.replay, recording), (tools.fix, writing), (tools.accept, writing), (tools.gate, recording),
        (tools.report, reading),
    )
    for tool, hints in offered:
        server.add_tool(tool, annotations=hints)
    return server


def serve(roots: tuple[Path, ...]) -> None:
    """Serve these folders over standard input and output until the client is gone, or until it is told to end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # At once: a thread waits for the next line of the client's and cannot be ended. Workers notice that nobody asks any more, and tidy up.
        signal.signal(number, lambda told, _: os._exit(128 + told))
    built(roots).run("stdio")
