"""Owns the command line: arguments -> config -> pipeline -> report -> exit code; the only file that prints."""

from __future__ import annotations

import difflib
import hashlib
import inspect
import os
import signal
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toughen import config, store, usage
from toughen.attesting import envelope, making, verifying
from toughen.audit import policy
from toughen.conclude import described
from toughen.errors import BootError, ConfigurationError, ToughenError
from toughen.fingerprint import fingerprint
from toughen.founding import found as founded
from toughen.founding import lay
from toughen.founding.skeleton import begun
from toughen.harden import tree
from toughen.model.finding import Inconclusive, Proven, Refuted, Status, Suspected
from toughen.model.patch import Gone, Kept, RolledBack, Unmended
from toughen.pipeline import AUTHORIZATION, Run
from toughen.report import buyer, html, stored
from toughen.report import text as text_report
from toughen.report.formats import AUDITS, FORMATS, GATES, listed
from toughen.rules import load, named
from toughen.terminal import CLEAN, FAILED, GATE, PROVEN, errors, keep, progress, put, told
from toughen.terminal import code as code_of
from toughen.terminal import settings as settings_of
from toughen.version import __version__

if TYPE_CHECKING:

    from toughen.model.matrix import Matrix
    from toughen.model.patch import MendOutcome

CHANGED_SECONDS = 40.0
"""Budget for exploring and proving where only a change is looked at."""
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Proves where an AI-built web backend breaks, hardens it without rewriting it, and holds the gate.")

PathArgument = Annotated[Path, typer.Argument(help="The prototype's folder.")]
Only = Annotated[list[str] | None, typer.Option("--only", help="A break (race/lost-update) or a place (race); may be repeated.", autocompletion=usage.places)]
App = Annotated[str | None, typer.Option("--app", help="The application, where several are found: module:attribute, module:factory() or file.py:attribute.")]
Budget = Annotated[float | None, typer.Option("--budget", help="Seconds for exploring and proving together; building the environment and booting are not counted.")]
Format = Annotated[str, typer.Option("--format", help=f"{listed()}.", autocompletion=usage.formats)]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write the report to a file.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Where the numbering of made-up honest values begins; canaries stay random.")]


def _version(asked: bool) -> None:  # noqa: FBT001 - typer hands it over so
    if asked:
        sys.stdout.write(f"toughen {__version__}\n")
        raise typer.Exit


@app.callback()
def options(*, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which release this is.")] = False) -> None:
    """Proves where an AI-built web backend breaks, hardens it without rewriting it, and holds the gate."""


@app.command()
def check(
    path: PathArgument = Path(), only: Only = None, *, static: Annotated[bool, typer.Option("--static", help="Read the source only; execute nothing.")] = False,
    app: App = None, budget: Budget = None, format: Format = "text", output: Output = None, seed: Seed = None,  # noqa: A002
) -> None:
    """Prove where the prototype breaks, on a throw-away copy of it."""
    settings = settings_of(path, only=only, static=static, app=app, budget=budget, seed=seed, form=format)
    run = Run(path.resolve(), settings, progress())
    verdict = keep(run.root, run.check(), "check", settings.only)
    told(verdict, format, output)
    raise typer.Exit(code_of(verdict, settings.threshold))


@app.command()
def fix(
    path: PathArgument = Path(), only: Only = None, *, app: App = None, budget: Budget = None, format: Format = "text", output: Output = None, seed: Seed = None,  # noqa: A002
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the diff; write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write even where the tree is not clean.")] = False,
    commit: Annotated[bool, typer.Option("--commit", help="One commit for each mend.")] = False,
    tests: Annotated[bool, typer.Option("--tests/--no-tests", help="Write regression tests of what was mended into the project's own suite.")] = True,
) -> None:
    """Mend what was proven; each mend is kept only if the break is gone and everything honest still works."""
    settings = settings_of(path, only=only, app=app, budget=budget, seed=seed, form=format)
    root = path.resolve()
    if not dry_run and not force:
        tree.demand_clean(root)
    verdict = keep(root, Run(root, settings, progress()).fix(write=not dry_run, commit=commit, tests=tests), "fix --dry-run" if dry_run else "fix", settings.only)
    if dry_run:
        patches = [*(outcome.patch for _, outcome in verdict.mends if isinstance(outcome, Kept)), *([verdict.tests] if verdict.tests else [])]
        # Whatever reads a report from standard output finds nothing else there.
        stream = sys.stdout if format == "text" or output is not None else sys.stderr
        for patch in patches:
            stream.write(f"# {patch.summary}\n# {patch.finding}\n{tree.diff(patch.changes)}\n")
    told(verdict, format, output)
    left = [each for each in verdict.findings if each.status is Status.PROVEN and each.id not in {finding for finding, outcome in verdict.mends if isinstance(outcome, Kept | Gone)}]
    raise typer.Exit(3 if not verdict.booted else PROVEN if left else CLEAN)


@app.command()
def audit(
    path: PathArgument = Path(), *, app: App = None, budget: Budget = None, format: Format = "text", output: Output = None, seed: Seed = None,  # noqa: A002
    write: Annotated[bool, typer.Option("--write/--no-write", help="Write what was seen to toughen-policy.toml; lines that are there stay as they are.")] = True,
) -> None:
    """Ask every route in the name of every kind of user, and write down who may call what, for you to review."""
    settings = settings_of(path, app=app, budget=budget, seed=seed, form=format)
    root = path.resolve()
    file = root / policy.FILE
    known = policy.read(file)
    verdict = keep(root, Run(root, settings, progress(), auditing=True).check(), "audit", AUTHORIZATION)
    matrix = verdict.matrix
    told(verdict, format, output, AUDITS)
    if matrix is None:
        raise typer.Exit(code_of(verdict, settings.threshold) or 3)
    drawn = policy.drawn(matrix, known)
    if write and drawn != known:
        store.write(file, policy.written(drawn, matrix).encode())
        errors.print(f"{'wrote' if known is None else 'extended'} {policy.FILE}: {_waiting(drawn)}", markup=False)
    faults = _differences(matrix, known)
    for each in faults:
        errors.print(each, style="red", markup=False)
    code = code_of(verdict, settings.threshold)
    raise typer.Exit(code or (GATE if faults else CLEAN))


def _waiting(drawn: policy.Policy) -> str:
    waiting = sum(bool(each.ask) for each in drawn.routes.values())
    return f"{waiting} of {len(drawn.routes)} routes wait for your yes or no (`ask`)" if waiting else f"{len(drawn.routes)} routes, nothing waits for a decision"


def _differences(matrix: Matrix, known: policy.Policy | None) -> list[str]:
    """How the prototype differs from a policy that was reviewed, beside what is proven."""
    if known is None:
        return []
    new = [f"{route} has no line in {policy.FILE}" for route in policy.unlisted(matrix, known) if known.reviewed]
    return [*new, *(f"{each.route} refuses {each.subject}, whom {policy.FILE} allows it: {each.reason}" for each in policy.denied(matrix, known))]


@app.command()
def gate(
    path: PathArgument = Path(), only: Annotated[list[str] | None, typer.Option("--only", help="A gate (types, tests, proofs); may be repeated.", autocompletion=usage.gates)] = None, *,
    changed: Annotated[bool, typer.Option("--changed", help="Look at what changed only: since the branch that a pull request goes to where CI says which, else since the last commit.")] = False,
    base: Annotated[str, typer.Option("--base", metavar="COMMIT", help="With --changed: the commit or branch to hold the change against (origin/main).")] = "",
    write_baseline: Annotated[bool, typer.Option("--write-baseline", help="Write what is there now to toughen-baseline.json; one that is there can only be lowered.")] = False,
    attest: Annotated[Path | None, typer.Option("--attest", metavar="FILE", help="Sign what the gates say (in-toto, DSSE) into this file, with the evidence beside it.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help=f"With --attest: a private key in PEM; without it the environment's {envelope.KEY}.")] = None,
    app: App = None, budget: Budget = None, format: Format = "text", output: Output = None, seed: Seed = None,  # noqa: A002
) -> None:
    """Hold the line: types, lint, tests, coverage, guards, secrets, dependencies, authorization, proofs and operations, each with a yes or no."""
    from toughen.gates import load as gates
    from toughen.gating import baseline as baselines
    from toughen.gating.scope import scope_of

    known = [each.id for each in gates()]
    for each in only or ():
        if each not in known:
            near = difflib.get_close_matches(each, known, n=1)
            raise ConfigurationError(f"there is no gate {each!r}" + (f"; did you mean {near[0]}?" if near else f" (there are: {', '.join(known)})"), subject=each)
    if attest is not None:
        if changed or base or only or write_baseline:
            raise ConfigurationError("--attest speaks of everything: leave --changed, --base, --only and --write-baseline out", subject=path)
        # A key that cannot sign is told before a minute of work.
        envelope.signed(b"{}", envelope.key_of(key, os.environ.get(envelope.KEY, "")))
    if write_baseline and (changed or only):
        raise ConfigurationError("--write-baseline looks at everything: leave --changed and --only out", subject=path)
    settings = settings_of(path, app=app, budget=budget if budget is not None or not changed else CHANGED_SECONDS, seed=seed, form=format)
    root = path.resolve()
    scope = scope_of(root, changed=changed or bool(base), named=base)
    before = fingerprint(root) if attest is not None else None
    held = Run(root, settings, progress()).gate(scope, tuple(only or ()))
    verdict = keep(root, held.verdict, "gate", tuple(only or ()) or (("changed",) if changed else ()))
    told(verdict, format, output, GATES)
    if attest is not None and before is not None:
        files = making.attested(root, replace(held, verdict=verdict), before, envelope.key_of(key, os.environ.get(envelope.KEY, "")), attest)
        errors.print(f"attested: {', '.join(str(each) for each in files)}", markup=False)
    if write_baseline and not verdict.booted:
        raise BootError(f"{baselines.FILE} is not written: the prototype does not boot, so that most gates saw nothing", subject=root, hint="once it boots, all that they see then would be new, and a baseline cannot be raised")
    if write_baseline:
        made = baselines.written(root, held.found, scope.baseline)
        errors.print(f"{'lowered' if scope.baseline else 'wrote'} {baselines.FILE}: {sum(sum(each.values()) for each in made.faults.values())} faults may stay, and none may come", markup=False)
        raise typer.Exit(CLEAN)
    raise typer.Exit(GATE if any(each.open for each in verdict.gates) else CLEAN)


@app.command()
def accept(
    patch: Annotated[str, typer.Argument(metavar="PATCHFILE", help="A unified diff; `-` reads it from standard input.")],
    path: PathArgument = Path(), *, finding: Annotated[str, typer.Option("--finding", metavar="ID", help="The finding that it mends, as reports name it, or the file of its proof.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say whether it would be accepted; write nothing.")] = False, app: App = None, budget: Budget = None, seed: Seed = None,
) -> None:
    """Take a patch that somebody else wrote for a finding, if the break is gone with it and everything honest still works."""
    from toughen.harden import accepting

    settings = settings_of(path, app=app, budget=budget, seed=seed, form="text")
    root = path.resolve()
    known = accepting.finding_named(root, finding)
    proposed = accepting.from_diff(root, known.finding, _read(patch))
    if isinstance(proposed, RolledBack):
        outcome: MendOutcome = proposed
        gone: list[str] = []
    else:
        verdict = Run(root, settings if settings.app else replace(settings, app=known.app), progress()).accept(proposed, write=not dry_run)
        if not verdict.booted:
            raise BootError(verdict.why, subject=root)
        outcome = dict(verdict.mends)[known.finding]
        gone = [each for each, other in verdict.mends if isinstance(other, Gone)]
    match outcome:
        case Kept(kept):
            sys.stdout.write(f"accepted: {known.finding}\n{'would change' if dry_run else 'changed'}: {', '.join(each.file for each in kept.changes)}\n")
            sys.stdout.writelines(f"gone with it: {each}\n" for each in gone)
        case RolledBack(_, step, reason, brief):
            sys.stdout.write(f"refused ({step}): {reason}\n" + (f"{brief}\n" if brief else ""))
            raise typer.Exit(PROVEN)
        case Unmended(reason, brief):
            sys.stdout.write(f"refused: {reason}\n{brief}\n")
            raise typer.Exit(PROVEN)


def _read(patch: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if patch == "-" else Path(patch).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the patch cannot be read: {error}", subject=patch, hint="name a file that holds a unified diff, or - for standard input") from error


@app.command()
def mcp(
    *, root: Annotated[list[Path] | None, typer.Option("--root", help="A folder at or below which prototypes may lie; may be repeated. Without one it is the current folder.")] = None,
) -> None:
    """Serve coding agents over standard input and output (Model Context Protocol): they write, toughen decides."""
    roots = tuple(each.resolve() for each in root or [Path()])
    for each in roots:
        if not each.is_dir():
            raise ConfigurationError(f"{each} is not a folder", subject=each, hint="--root names a folder that exists")
    try:
        from toughen.mcp.server import serve
    except ImportError as error:
        raise ConfigurationError(f"the MCP SDK is missing, or older than 2: {error}", subject=error, hint="pip install 'toughen[mcp]'") from error
    serve(roots)


class Reader(StrEnum):
    """Whom a report is for."""

    DEVELOPER = "developer"
    BUYER = "buyer"


@app.command()
def report(
    path: PathArgument = Path(), *, reader: Annotated[Reader, typer.Option("--for", help="buyer: the dossier; keep or rewrite, and five answers with the numbers that they rest on.")] = Reader.DEVELOPER,
    format: Annotated[str, typer.Option("--format", help="html, markdown or json; for a developer also text and sarif.")] = "html", output: Output = None,  # noqa: A002
) -> None:
    """Tell the last run again, as a page to read or to hand on; nothing is executed."""
    root = path.resolve()
    if not root.is_dir():
        raise ConfigurationError(f"{path} is not a folder", subject=path, hint="name the folder that holds the prototype")
    makers = {"html": buyer.page, "markdown": buyer.markdown, "json": buyer.document}
    known = [*makers, *(("text", "sarif") if reader is Reader.DEVELOPER else ())]
    if format not in known:
        raise ConfigurationError(f"--format must be {', '.join(known[:-1])} or {known[-1]}, not {format!r}", subject=format)
    content = store.last(root)
    last = stored.read(content, f"{store.FOLDER}/{store.LAST}")
    if reader is Reader.BUYER:
        if last.run and last.run.only and (root / store.FOLDER / store.WHOLE).exists():
            content = store.last(root, store.WHOLE)
            last = stored.read(content, f"{store.FOLDER}/{store.WHOLE}")
        put(makers[format](last, _repaired(root, last), hashlib.sha256(content).hexdigest(), _gated(root)), output)
    elif format == "json":
        put(content.decode("utf-8"), output)
    elif format == "html":
        put(html.page(last, {rule.id: rule.title for rule in load()}, store.history(root)), output)
    else:
        put(FORMATS[format](replace(stored.verdict_of(last), breaks=described(load())), last.toughen), output)


def _gated(root: Path) -> stored.Report | None:
    """The report of the last run that asked all gates."""
    if not (root / store.FOLDER / store.GATED).exists():
        return None
    return stored.read(store.last(root, store.GATED), f"{store.FOLDER}/{store.GATED}")


def _repaired(root: Path, last: stored.Report) -> stored.Report | None:
    """The report of the run that mended what the last one found mended, where there was one."""
    if last.mends or not (root / store.FOLDER / store.FIXED).exists():
        return None
    fixed = stored.read(store.last(root, store.FIXED), f"{store.FOLDER}/{store.FIXED}")
    return fixed if fixed.run and last.run and fixed.run.at <= last.run.at else None


@app.command()
def replay(proof: Annotated[Path, typer.Argument(help="A file below .toughen/proofs/.", autocompletion=usage.proofs)], *, app: App = None) -> None:
    """Execute a stored proof again, in a fresh boot."""
    root = proof.resolve().parent.parent.parent
    stored, _ = store.load(proof.resolve())
    run = Run(root, config.read(root, app=app or stored.app), progress())
    finding, outcome = run.replay(proof.resolve())
    match outcome:
        case Proven(again):
            sys.stdout.write(f"{finding.id}: it still breaks.\n{again.evidence.message}\n")
            sys.stdout.writelines(f"{line}\n" for line in text_report.told(again.evidence.facts))
            raise typer.Exit(PROVEN)
        case Refuted():
            sys.stdout.write(f"{finding.id}: gone. The honest request passes and the hostile one is turned away.\n")
        case Suspected(beside):
            sys.stdout.write(f"{finding.id}: gone. Beside it: {beside.message}\n")
        case Inconclusive(reason):
            sys.stdout.write(f"{finding.id}: inconclusive: {reason}\n")
            raise typer.Exit(FAILED)


@app.command()
def verify(
    attestation: Annotated[Path, typer.Argument(help="What `toughen gate --attest` wrote.")], path: PathArgument = Path(), *,
    key: Annotated[Path, typer.Option("--key", help="The public key, in PEM, of whom you believe.")], evidence: Annotated[Path | None, typer.Option("--evidence", help="The archive of evidence, where it does not lie beside the attestation.")] = None,
    executed: Annotated[bool, typer.Option("--replay/--no-replay", help="Execute every attested proof again.")] = True,
    gates: Annotated[bool, typer.Option("--gates", help="Ask all gates again, too.")] = False, app: App = None,
) -> None:
    """Check an attestation: who signed it, of which source, and whether everything ends again as it says."""
    root = path.resolve()
    settings = settings_of(path, app=app, form="text")
    run = Run(root, settings, progress())
    checks = list(verifying.verified(run, verifying.Attested(attestation, key, evidence), executed=executed, gates=gates))
    for each in checks:
        sys.stdout.write(f"{'holds' if each.holds else 'FAILS':<7}{each.what}: {each.said}\n")
    broken = sum(not each.holds for each in checks)
    sys.stdout.write(f"The attestation {'holds' if not broken else 'does not hold'}: {len(checks) - broken} of {len(checks)} checks.\n")
    raise typer.Exit(GATE if broken else CLEAN)


@app.command()
def explain(break_id: Annotated[str, typer.Argument(metavar="BREAK", help="A break: race/lost-update.", autocompletion=usage.breaks)]) -> None:
    """Say what a break is, who pays for it, and what to do instead."""
    rule = named(break_id)
    if rule is None:
        known = [each.id for each in load()]
        near = difflib.get_close_matches(break_id, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        errors.print(f"error: there is no break {break_id!r}{hint}\nthere are: {', '.join(known)}", style="red", markup=False)
        raise typer.Exit(2)
    numbers = ", ".join([*(f"CWE-{each}" for each in rule.cwe), *(each for each in (f"OWASP {rule.owasp}" if rule.owasp else "", f"ASVS {rule.asvs}" if rule.asvs else "") if each)])
    sys.stdout.write(f"{rule.id}: {rule.title}\n{rule.severity.value}" + (f" ({numbers})" if numbers else "") + f"\n\n{inspect.cleandoc(type(rule).__doc__ or '')}\n")


@app.command()
def init(
    path: PathArgument = Path(), *, dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the diff; write nothing.")] = False,
    ci: Annotated[str | None, typer.Option("--ci", help="github, gitlab or none, where neither git's remote nor a file tells.")] = None,
) -> None:
    """Write the settings, the pre-commit hook and the CI workflow; nothing that is there is overwritten, nothing is asked."""
    if not path.is_dir():
        raise ConfigurationError(f"{path} is not a folder", subject=path, hint="name the folder that holds the prototype")
    founding = founded(path, host=ci)
    if not dry_run:
        lay(founding)
    sys.stdout.write((founding.diff if dry_run else "") + founding.told(dry=dry_run))


@app.command("new-rule")
def new_rule(break_id: Annotated[str, typer.Argument(metavar="PLACE/NAME", help="A new break, named for the defect: race/lost-update.")]) -> None:
    """Begin a rule: one file with the places to fill and an example that fails until it is; in a checkout of toughen."""
    file = begun(break_id)
    sys.stdout.write(f"wrote    {file}\nnext     fill what says FILL, and run: python -m pytest tests/test_rules.py -k '{break_id}'\n")


for _verb in app.registered_commands:
    _verb.epilog = usage.epilog(str(_verb.name or getattr(_verb.callback, "__name__", "")))


def main() -> None:
    """Run the command line; every error that toughen raises on purpose becomes one clear message and its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        app()
    except ToughenError as error:
        errors.print(f"error: {error.message}", style="red", markup=False)
        if error.hint:
            errors.print(error.hint, markup=False)
        sys.exit(error.exit_code)
