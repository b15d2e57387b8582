"""What `make docs` makes of the pages, as far as it needs no Sphinx: a page for each name, links of the site."""

import importlib
import importlib.util
import inspect
import pkgutil
from pathlib import Path

import pytest

import sklstm

ROOT = Path(__file__).resolve().parents[1]
DOC = ROOT / "doc"


def extension(name):
    spec = importlib.util.spec_from_file_location(name, DOC / "_extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


api_pages, markdown_pages = extension("api_pages"), extension("markdown_pages")


def names_that_users_import():
    """Every name of an `__all__`, in modules whose path has no underscore."""
    modules = [sklstm.__name__, *(f"sklstm.{module.name}" for module in pkgutil.iter_modules(sklstm.__path__))]
    for name in modules:
        if "._" not in name:
            module = importlib.import_module(name)
            for entry in getattr(module, "__all__", ()):
                value = getattr(module, entry)
                if inspect.isclass(value) or inspect.isfunction(value):
                    yield pytest.param(name, entry, value, id=f"{name}.{entry}")


@pytest.mark.parametrize(("module", "name", "value"), list(names_that_users_import()))
def test_every_public_name_has_a_page(module, name, value):
    page = api_pages.public_names()[module][name]
    owner, _, own_name = page.rpartition(".")
    assert getattr(importlib.import_module(owner), own_name) is value
    text = api_pages.index_pages()[owner]
    entries = text.split(":toctree: generated/")[1:]
    assert any(f"\n   {own_name}\n" in f"{entry}\n" for entry in entries)
    assert f"\n   {owner}\n" in api_pages.index_pages()["index"]


def test_a_name_without_a_page_is_noticed(monkeypatch):
    monkeypatch.setattr(sklstm.cells, "Other", type("Other", (), {}), raising=False)
    assert "Other" not in api_pages.public_names()["sklstm.cells"]
    monkeypatch.setattr(sklstm.cells, "__all__", [*sklstm.cells.__all__, "Other"])
    assert api_pages.public_names()["sklstm.cells"]["Other"] == "sklstm.cells.Other"
    assert "\n   Other\n" in api_pages.index_pages()["sklstm.cells"]


@pytest.mark.parametrize(
    ("folder", "link", "target"),
    [
        ("doc/guide", "../studies", "studies/index.md"),
        ("doc/guide", "training.md", "guide/training.md"),
        ("doc/guide", "../../examples/plot_inspection.py", "examples/plot_inspection.rst"),
        ("doc/guide", "../../CONTRIBUTING.md", "developers/contributing.md"),
        (".", "doc/performance.md", "performance.md"),
        (".", "README.md", "get_started.md"),
        ("doc", "https://example.org", None),
    ],
)
def test_a_link_goes_to_the_page_of_the_site(folder, link, target):
    assert markdown_pages.linked(link, ROOT / folder, DOC) == target


def test_links_are_rewritten_outside_code():
    text = "[guide](doc/guide/index.md#use) `[guide](doc/guide/index.md)`\n```\n[guide](doc/guide/index.md)\n```\n"
    found = markdown_pages.rewritten(text, ROOT, DOC / "developers" / "contributing.md", DOC)
    assert found == text.replace("[guide](doc/guide/index.md#use)", "[guide](../guide/index.md#use)")


def test_an_index_leads_every_page_of_its_folder():
    for folder in ("guide", "studies", "developers"):
        index = DOC / folder / "index.md"
        listed = markdown_pages.toctree(index.read_text(encoding="utf-8"), index, DOC).split()
        assert {page.stem for page in index.parent.glob("*.md")} - {"index"} <= set(listed)


def test_files_of_the_root_have_a_page_that_shows_them():
    for name, page in markdown_pages.PAGES.items():
        path = DOC / f"{page}.md"
        assert f"{{include}} {'../' * len(path.relative_to(DOC).parts)}{name}\n" in path.read_text(encoding="utf-8")
