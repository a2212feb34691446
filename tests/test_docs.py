"""The documents are complete and agree with the code: links, file names, commands and the drawing of the packages."""

import re
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import click
import grimp
import pytest

from container_component_src.main import cli
from tests.reference import REFERENCE, render

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*/*.md"))
    if not path.relative_to(ROOT).parts[0].startswith(".")
}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def links(text: str) -> list[str]:
    """Targets of links and images outside code."""
    return [link or image for link, image in LINK.findall(CODE.sub("", text))]


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as GitHub and GitLab make them of plain headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_relative_links_and_anchors_resolve(name: str) -> None:
    broken = []
    for target in links(DOCUMENTS[name]):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_modules_and_notebooks_exist(name: str) -> None:
    folders = (ROOT, ROOT / "container_component_src", ROOT / "pipeline", ROOT / "container_component_src" / "serving")
    named = re.findall(r"`([\w/]+\.(?:py|ipynb))`", DOCUMENTS[name])
    known = {path.name for path in (ROOT / "container_component_src").rglob("*.py")}
    assert [
        path
        for path in named
        if not any((folder / path).is_file() for folder in folders) and ("/" in path or path not in known)
    ] == []


def test_messages_that_the_documents_explain_are_those_of_the_code() -> None:
    table = re.search(r"^\| message \|.*?\n\n", DOCUMENTS["docs/cluster.md"], re.DOTALL | re.MULTILINE)
    assert table
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "container_component_src").rglob("*.py"))
    messages = [
        text for row in table[0].strip().splitlines()[2:] for text in re.findall(r"`([^`]+)`", row.split("|")[1])
    ]
    assert messages
    assert [message for message in messages if message not in code] == []


def test_readme_has_at_most_200_lines() -> None:
    assert len(DOCUMENTS["README.md"].splitlines()) <= 200


def test_every_document_is_linked_from_the_readme() -> None:
    targets = {target.partition("#")[0] for target in links(DOCUMENTS["README.md"])}
    assert [name for name in DOCUMENTS if name.startswith("docs/") and name not in targets] == []


def shell_lines(text: str) -> list[str]:
    """Commands of the shell blocks, each on one line."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return "".join(blocks).replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_have_the_options_that_the_documents_give_them(name: str) -> None:
    for line in shell_lines(DOCUMENTS[name]):
        if found := re.search(r"(?:main\.py|\$run|\$main) (\w+) ([^#|;]*)", line):
            command = cli.get_command(click.Context(cli), found[1])
            assert command, line
            known = {option for parameter in command.params for option in parameter.opts}
            assert set(re.findall(r"(?<!\S)--[\w-]+", found[2])) <= known, line


def test_make_has_the_targets_that_the_documents_name() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "".join(DOCUMENTS.values())
    named = set(re.findall(r"^make ([a-z-]+)|&& make ([a-z-]+)|`make ([a-z-]+)", text, re.MULTILINE))
    assert {name for names in named for name in names if name} <= targets


def test_reference_is_generated_from_the_declarations() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == render(), "run `make reference`"


def drawn_packages() -> tuple[dict[str, str], set[tuple[str, str]]]:
    """The drawing in docs/architecture.md: the box of each package, and the arrows between boxes."""
    drawing = re.search(r"```mermaid\n(.*?)```", DOCUMENTS["docs/architecture.md"], re.DOTALL)
    assert drawing
    boxes = {
        package.strip(): box
        for box, label in re.findall(r'^ *(\w+)\["(.*)"\]$', drawing[1], re.MULTILINE)
        for package in label.split(",")
    }
    arrows = set()
    for sources, targets in re.findall(r"^ *([\w &]+) --> ([\w &]+)$", drawing[1], re.MULTILINE):
        arrows |= set(product(sources.split(" & "), targets.split(" & ")))
    return boxes, arrows


def imports_between(boxes: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of different boxes, one of which imports the other."""
    graph = grimp.build_graph("container_component_src", "pipeline")
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = box_of(importer, boxes), box_of(imported, boxes)
            if pair[0] != pair[1]:
                yield pair


def box_of(module: str, boxes: dict[str, str]) -> str:
    """The box of a module."""
    package, _, name = module.partition(".")
    parts = name.split(".")
    names = [package] if package == "pipeline" else [".".join(parts[:2]), parts[0]]
    return next((boxes[name] for name in names if name in boxes), module)


def reachable(start: str, arrows: set[tuple[str, str]]) -> set[str]:
    """Boxes to which arrows lead."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        box = waiting.pop()
        following = {target for source, target in arrows if source == box} - found
        found |= following
        waiting += following
    return found


def test_drawing_of_the_packages_is_that_of_the_code() -> None:
    boxes, arrows = drawn_packages()
    imports = {pair for pair in imports_between(boxes) if pair[0] in boxes.values()}
    assert sorted(arrows - imports) == [], "arrows that the code does not have"
    missing = {pair for pair in imports if pair[1] not in reachable(pair[0], arrows) | {boxes["errors"]}}
    assert sorted(missing) == [], "missing arrows"


def test_modules_of_the_pipeline_are_described() -> None:
    modules = [path for path in (ROOT / "pipeline").iterdir() if not path.name.startswith("__")]
    names = [f"`{path.name}/`" if path.is_dir() else f"`{path.name}`" for path in modules]
    assert [name for name in names if name not in DOCUMENTS["docs/architecture.md"]] == []


def test_the_example_of_a_new_parameter_applies_to_the_code() -> None:
    (diff,) = re.findall(r"```diff\n(.*?)```", DOCUMENTS["CONTRIBUTING.md"], re.DOTALL)
    added = [line for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    files = {line for line in diff.splitlines() if line.startswith("+++")}
    assert len(added) <= 3
    assert len(files) <= 2
    subprocess.run(["git", "apply", "--check", "-"], cwd=ROOT, input=diff, text=True, check=True)
