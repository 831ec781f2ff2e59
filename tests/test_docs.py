"""The docs site: its examples run, its links lead somewhere, its reference has every name."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import tensorbundle as tb
from command import process
from http_store import serve
from tensorbundle import cli
from test_readme import Block, Shown, agrees, blocks, execute, sessions

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
# What the examples of a page are about, and no dependency group has.
NEEDS = {"pytorch.md": "torch"}
# Whose examples tests/engines/test_pages.py runs, with an engine at work.
OF_ENGINES = [DOCS / "how-to" / name for name in ("ray.md", "spark.md")]
# Whose examples it runs with a server of the store's API.
OF_STORES = [DOCS / "how-to" / name for name in ("s3.md", "gcs.md")]
HTTP = DOCS / "how-to" / "http.md"
RUN_HERE = [page for page in PAGES if page not in (*OF_ENGINES, *OF_STORES, HTTP)]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
IDS = [page.relative_to(DOCS).as_posix() for page in PAGES]
SHOWN = [
    pytest.param(shown, id=f"{page.stem}: {shown.command}")
    for page in RUN_HERE
    for block in blocks(TEXTS[page])
    if block.kind == "console"
    for shown in sessions(block.text)
]


@pytest.fixture(scope="module")
def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", RUN_HERE, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_python_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocks(TEXTS[page])
    assert {block.kind for block in found} <= {"python", "console", "text", "sh"}
    if page.name in NEEDS:
        pytest.importorskip(NEEDS[page.name])
    monkeypatch.chdir(ROOT)
    execute(found, str(page))


def in_store() -> dict[str, bytes]:
    """What the pages about stores read, by path within the store."""
    folders = {"mnist": ROOT / "tests/data/mnist_mlp", "tables": ROOT / "tests/data/partitioned"}
    return {
        f"{name}/{file.name}": file.read_bytes()
        for name, folder in folders.items()
        for file in folder.iterdir()
    }


def run_page(found: list[Block], page: Path, folder: Path) -> None:
    """Runs the Python and the commands of a page about a store, in a folder of its own."""
    assert {block.kind for block in found} == {"python", "sh"}
    execute(found, str(page))
    lines = [line for block in found if block.kind == "sh" for line in block.text.splitlines()]
    words_of = [shlex.split(line, comments=True) for line in lines]
    commands = [words for words in words_of if words[:1] == ["tensorbundle"]]
    assert {"ls", "cat", "verify", "index", "query"} <= {words[1] for words in commands}
    for words in commands:
        done = process(*words[1:], cwd=folder)
        assert (done.returncode, done.stderr) == (0, ""), words


def test_the_page_about_http_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served, own = tmp_path / "served", tmp_path / "own"
    for path, data in in_store().items():
        (served / path).parent.mkdir(parents=True, exist_ok=True)
        (served / path).write_bytes(data)
    own.mkdir()
    monkeypatch.chdir(own)
    with serve(served) as server:
        found = [
            block._replace(text=block.text.replace("https://models.example.org", server.url))
            for block in blocks(TEXTS[HTTP])
        ]
        run_page(found, HTTP, own)
        keys = {
            each.headers.get("X-Key", each.headers.get("Authorization")) for each in server.requests
        }
        assert keys == {None, "Bearer of-good-news", "of-the-team"}


@pytest.mark.parametrize("shown", SHOWN)
def test_a_command_prints_what_is_shown(shown: Shown) -> None:
    _, *arguments = shlex.split(shown.command)
    done = process(*arguments, cwd=ROOT, encoding="utf-8", env={"PYTHONUTF8": "1"})
    printed = (done.stdout + done.stderr).rstrip("\n")
    if not agrees(shown.output, printed):
        assert printed == shown.output


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", TEXTS[page])
    inner = [link for link in links if not link.startswith(("http:", "https:"))]
    assert [link for link in inner if not (page.parent / link).is_file()] == []


def test_the_pages_of_engines_show_no_command() -> None:
    """What they print there is of the engine, too; those that are in `sh` blocks are not run."""
    for page in OF_ENGINES:
        assert {block.kind for block in blocks(TEXTS[page])} <= {"python", "text", "sh"}


def test_every_page_is_in_the_navigation() -> None:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"^\s*- (\S+\.md)$", config.partition("\nnav:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(IDS)


def test_the_reference_has_every_name_and_command(hooks: Any) -> None:
    pages = [DOCS / "reference" / name for name in ("api.md", "errors.md")]
    named = re.findall(
        r"^::: tensorbundle\.(\w+)$",
        "\n".join(hooks.expand(TEXTS[page]) for page in pages),
        re.MULTILINE,
    )
    assert sorted([*named, "__version__"]) == sorted(tb.__all__)
    text = hooks.expand(TEXTS[DOCS / "reference" / "cli.md"])
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == list(cli.COMMANDS)
    assert all(f"usage: tensorbundle {command}" in text for command in cli.COMMANDS)


def test_what_is_included_is_there(hooks: Any) -> None:
    for page, text in TEXTS.items():
        assert "<!--" not in hooks.expand(text), page
    assert "| `import`, whole process |" in hooks.expand(TEXTS[DOCS / "benchmarks.md"])
    assert "## [Unreleased]" in hooks.expand(TEXTS[DOCS / "changelog.md"])


def test_roles_become_names(hooks: Any) -> None:
    html = "<p>See :meth:<code>Checkpoint.read</code>, :func:<code>~tensorbundle.open</code>.</p>"
    want = "<p>See <code>Checkpoint.read</code>, <code>tensorbundle.open</code>.</p>"
    assert hooks.on_page_content(html) == want
