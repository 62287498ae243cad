"""The arrows of the house point down, and each rule that says so turns red when it is broken."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent

PURE_RUNNER = {f"runner.{name}" for name in ("errors", "events", "model", "plan", "select", "selection", "verdict")}
PURE_LIBRARIES = {"pydantic", "markdown_it"}


def lint_imports(root: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    command += [word for contract in contracts for word in ("--contract", contract)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contracts, to be broken."""
    for package in ("runner", "bot", "action"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(root: Path, file: str, line: str) -> None:
    """Add a line to a module, making it and its packages if need be."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in path.relative_to(root).parents:
        if folder.name:
            (root / folder / "__init__.py").touch()
    with path.open("a") as module:
        module.write(f"\n{line}\n")


def test_every_contract_holds() -> None:
    answer = lint_imports(ROOT)
    assert answer.returncode == 0, answer.stdout
    assert "BROKEN" not in answer.stdout


@pytest.mark.parametrize(
    ("contract", "planted", "says"),
    [
        pytest.param(
            "runner-layers",
            [("runner/errors.py", "import runner.events")],
            "runner.errors -> runner.events",
            id="an-arrow-up-in-the-runner",
        ),
        pytest.param("runner-layers", [("runner/helpers.py", "")], "runner.helpers", id="no-place-in-the-runner"),
        pytest.param(
            "bot-layers",
            [("bot/ops/clock.py", "import bot.store.models")],
            "bot.ops.clock -> bot.store.models",
            id="an-arrow-up-in-the-bot",
        ),
        pytest.param("bot-layers", [("bot/helpers.py", "")], "bot.helpers", id="no-place-in-the-bot"),
        pytest.param(
            "runner-alone",
            [("runner/model.py", "import bot.ops.clock")],
            "runner.model -> bot.ops.clock",
            id="the-runner-knows-the-bot",
        ),
        pytest.param(
            "no-cycles",
            [("bot/ops/clock.py", "import bot.engine"), ("bot/engine.py", "import bot.ops.clock")],
            ".ops -> .engine",
            id="siblings-in-a-circle",
        ),
        pytest.param(
            "events-are-the-seam",
            [("runner/execute/planted.py", ""), ("runner/report/planted.py", "import runner.execute.planted")],
            "runner.report.planted -> runner.execute.planted",
            id="a-report-knows-processes",
        ),
        pytest.param(
            "one-speaker-of-github",
            [("bot/web/health.py", "import githubkit")],
            "bot.web.health -> githubkit",
            id="a-second-speaker-of-github",
        ),
        pytest.param(
            "one-importer-of-dbos",
            [("bot/store/runs.py", "import dbos")],
            "bot.store.runs -> dbos",
            id="a-second-importer-of-dbos",
        ),
        pytest.param(
            "tables-stay-in-the-store",
            [("bot/flows/record.py", "import bot.store.models")],
            "bot.flows.record",
            id="tables-outside-the-store",
        ),
        pytest.param(
            "localhub-is-no-dependency",
            [("bot/flows/record.py", "import bot.localhub.contract")],
            "bot.flows.record",
            id="the-product-needs-localhub",
        ),
        pytest.param(
            "localhub-shares-no-line",
            [("bot/localhub/contract.py", "import bot.ops.clock")],
            "bot.localhub.contract -> bot.ops.clock",
            id="localhub-borrows-from-the-bot",
        ),
        pytest.param(
            "localhub-shares-no-line",
            [("bot/localhub/contract.py", "import runner.model")],
            "bot.localhub.contract -> runner.model",
            id="localhub-borrows-from-the-runner",
        ),
    ],
)
def test_a_contract_turns_red_when_it_is_broken(
    copy: Path, contract: str, planted: list[tuple[str, str]], says: str
) -> None:
    for file, line in planted:
        plant(copy, file, line)
    answer = lint_imports(copy, contract)
    assert answer.returncode != 0, answer.stdout
    assert says in answer.stdout


def strangers(imports: Iterable[tuple[str, str]]) -> list[str]:
    """Imports of `bot.domain` outside its allow-list, as `importer -> imported`.

    An allow-list, because a list of what is forbidden is never complete: one of those once let SQLAlchemy in.
    """
    return sorted(
        f"{importer} -> {imported}"
        for importer, imported in imports
        if not (
            imported.startswith("bot.domain")
            or imported in PURE_RUNNER | PURE_LIBRARIES
            or imported.partition(".")[0] in sys.stdlib_module_names
        )
    )


def test_the_domain_imports_only_what_is_pure() -> None:
    graph = grimp.build_graph("bot", "runner", include_external_packages=True, cache_dir=None)
    modules = [name for name in graph.modules if name == "bot.domain" or name.startswith("bot.domain.")]
    assert modules
    imports = [(name, imported) for name in modules for imported in graph.find_modules_directly_imported_by(name)]
    assert strangers(imports) == []


@pytest.mark.parametrize(
    ("imported", "stranger"),
    [
        pytest.param("sqlalchemy", True, id="a-library"),
        pytest.param("bot.store.runs", True, id="the-rest-of-the-bot"),
        pytest.param("runner.execute.process", True, id="an-impure-part-of-the-runner"),
        pytest.param("pydantic", False, id="pydantic"),
        pytest.param("collections.abc", False, id="the-standard-library"),
        pytest.param("runner.select", False, id="a-pure-part-of-the-runner"),
        pytest.param("bot.domain.text", False, id="itself"),
    ],
)
def test_a_stranger_in_the_domain_is_seen(imported: str, stranger: bool) -> None:
    assert bool(strangers([("bot.domain.gates", imported)])) is stranger
