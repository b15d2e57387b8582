"""The pages of the documentation: their code runs and prints what they say, their links lead somewhere."""

import re
from pathlib import Path

import pytest
import sklearn
from page_runner import check, read_blocks, run_page

from sklstm._network.cells import CELLS, DRIVERS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "doc" / "guide").glob("*.md"))]
ALL_PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("doc/**/*.md")])
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)]*))?\)")


def _name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [page for page in PAGES if read_blocks(page)], ids=_name)
@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in get_weights of Keras
@pytest.mark.filterwarnings("ignore:The set_(bad|over|under) function:PendingDeprecationWarning")  # of SHAP
@pytest.mark.filterwarnings("ignore:The default of config ``remember_data``:FutureWarning")  # of sktime 1.2
def test_code_of_a_page_runs_and_prints_what_the_page_says(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with sklearn.config_context():  # a page may switch metadata routing on
        run_page(path)


def _anchors(page):
    """Names of the headings of a page, as GitHub makes links of them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", ALL_PAGES, ids=_name)
def test_links_lead_somewhere(path):
    lost = []
    for link, anchor in _LINK.findall(path.read_text(encoding="utf-8")):
        target = path.parent / link if link else path
        if "://" not in link and not target.exists():
            lost.append(link)
        elif anchor and "://" not in link and anchor not in _anchors(target.read_text(encoding="utf-8")):
            lost.append(f"{link}#{anchor}")
    assert lost == []


def test_pages_named_in_the_sources_exist():
    folders = ["sklstm", "tests", "examples", ".ci"]
    files = [ROOT / "Makefile", ROOT / "setup.py", ROOT / "pyproject.toml"]
    for folder in folders:
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".pyx", ".pxi", ".pxd", ".h"}]
    lost = []
    for path in files:
        pages = re.findall(r"doc/[\w/]+\.md", path.read_text(encoding="utf-8"))
        lost += [f"{_name(path)}: {page}" for page in pages if not (ROOT / page).exists()]
    assert lost == []


def test_every_page_of_the_guide_is_in_its_index():
    index = ROOT / "doc" / "guide" / "index.md"
    listed = {link for link, _ in _LINK.findall(index.read_text(encoding="utf-8"))}
    assert {page.name for page in index.parent.glob("*.md")} - {"index.md"} <= listed


def test_the_table_of_cells_is_that_of_the_kernels():
    page = (ROOT / "doc" / "developers" / "cells.md").read_text(encoding="utf-8")
    table = page.split("\n## All cells\n")[1].split("\n## ")[0]
    rows = {}
    for line in table.splitlines():
        if line.startswith("| `"):
            name, _, driver, sums, reads, states, *_ = (entry.strip() for entry in line.strip("|").split("|"))
            rows[name.strip("`")] = driver, sums, reads, states
    expected = {}
    for name, cell in CELLS.items():
        counts = (cell.x_count, cell.h_count, cell.gated_count)
        driver = DRIVERS[cell.driver]
        reads = " / ".join(str(count) if count else "–" for count in counts)
        expected[name] = driver, " ".join(cell.stored), reads, ", ".join(cell.states(False))
    assert rows == expected


def test_the_example_of_a_cell_is_its_header():
    page = (ROOT / "doc" / "developers" / "cells.md").read_text(encoding="utf-8")
    example = re.search(r"```c\n(.*?)```", page, re.S)[1]
    header = (ROOT / "sklstm" / "_kernels" / "isa" / "cells" / "delta.h").read_text(encoding="utf-8")
    assert example.strip() in header


@pytest.mark.parametrize(
    ("stated", "printed"),
    [("0.46, the score", "0.5\n"), ("(300, 3) a row each", "(300, 3)"), ("True", "True"), ("[1, 2.0]", "[1, 2.01]")],
)
def test_what_agrees_is_accepted(stated, printed):
    check(stated, printed, "here", prefix=True)


@pytest.mark.parametrize(
    ("stated", "printed"),
    [("0.46", "0.6"), ("(300, 3)", "(301, 3)"), ("True", "False"), ("1", "1 2"), ("what it says", ""), ("3", "3.0")],
)
def test_what_differs_is_refused(stated, printed):
    with pytest.raises(AssertionError, match="the page says"):
        check(stated, printed, "here", prefix=True)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print(3)  # 3, as said", None),
        ("print(3)  # 4", ":2: the page says '4', the code prints '3"),
        ("for i in range(2):\n    print(i)  # 0", ":3: the page says '0', the code prints '1"),
        (
            "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    print(\n        error\n    )  # zero",
            ":7: the page says",
        ),
        ("def shown():\n    print(3)  # 3\n\nshown()", None),
        ("if False:\n    print(3)  # 3", r"never prints what the page says in rows \[3\]"),
    ],
)
def test_every_print_with_a_comment_is_checked(tmp_path, code, message):
    page = tmp_path / "page.md"
    page.write_text(f"```python\n{code}\n```\n", encoding="utf-8")
    if message is None:
        run_page(page)
        return
    with pytest.raises(AssertionError, match=message):
        run_page(page)
