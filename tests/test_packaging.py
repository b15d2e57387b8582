"""What a user installs: names, types, data and weight; and what the linters cannot see."""

import ast
import hashlib
import importlib
import importlib.metadata
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sklstm
import sklstm.callbacks
import sklstm.cells
import sklstm.compression
import sklstm.datasets
import sklstm.inspection
import sklstm.model_selection
import sklstm.preprocessing
import sklstm.streaming

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "sklstm"
PACKAGE = Path(sklstm.__file__).parent
STUBS = sorted((SOURCES / "_kernels").rglob("*.pyi"))
CYTHON_FILES = sorted(path for suffix in ("pyx", "pxd", "pxi") for path in SOURCES.rglob(f"*.{suffix}"))


def relative(path):
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def distribution():
    try:
        return importlib.metadata.distribution("sklstm")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("sklstm runs from its source folder, where there is no metadata to check")


# What is installed


def test_versions_agree(distribution):
    assert sklstm.__version__ == distribution.version


def test_runtime_dependencies(distribution):
    required = [line for line in distribution.requires if "extra ==" not in line]
    names = {re.match(r"[\w-]+", line).group() for line in required}
    assert names == {"numpy", "scipy", "scikit-learn", "joblib"}


def test_package_carries_its_type_information():
    assert (PACKAGE / "py.typed").is_file()
    assert [relative(stub) for stub in STUBS if not (PACKAGE / stub.relative_to(SOURCES)).is_file()] == []


def test_data_file_is_the_published_one():
    """CC BY-ND: byte for byte, so also without a changed line end."""
    content = (PACKAGE / "datasets" / "data" / "ETTh1.csv").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert digest == "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"
    assert digest in (PACKAGE / "datasets" / "data" / "ETTh1-LICENSE.txt").read_text()


OPTIONAL = ["pandas", "polars", "xgboost", "matplotlib", "rich", "torch", "IPython"]


def run_python(code):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_import_needs_no_optional_package():
    code = f"""
import sys

class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent)
import sklstm, sklstm.datasets
print(all(hasattr(module, name) for module in (sklstm, sklstm.datasets) for name in module.__all__))
"""
    assert run_python(code) == "True"


def imports_at_load(tree):
    """Modules named by the imports outside functions, of which some run while loading."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from imports_at_load(node)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_module_loads_an_optional_package(path):
    """An installed one that is not asked for must not cost its time either."""
    roots = {name.partition(".")[0] for name in imports_at_load(ast.parse(path.read_text()))}
    assert roots & set(OPTIONAL) == set()


# Public names


@pytest.mark.parametrize("module", [sklstm, sklstm.datasets], ids=lambda module: module.__name__)
def test_all_lists_the_public_names(module):
    public = {name for name, value in vars(module).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public - set(module.__all__) == set()
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(module.__all__) == len(set(module.__all__))


MODULES = (
    sklstm,
    sklstm.callbacks,
    sklstm.cells,
    sklstm.compression,
    sklstm.datasets,
    sklstm.inspection,
    sklstm.model_selection,
    sklstm.streaming,
)


def public_objects():
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{module.__name__}.{name}", value


@pytest.mark.parametrize("value", [pytest.param(v, id=name) for name, v in public_objects()])
def test_public_names_are_documented(value):
    assert inspect.getdoc(value)
    assert ">>>" in value.__doc__, "an example that can be run"
    methods = inspect.getmembers(value, inspect.isfunction) if inspect.isclass(value) else []
    undocumented = [n for n, m in methods if not n.startswith("_") and not inspect.getdoc(m)]
    assert undocumented == []


def documented_parameters(value):
    """Names in the section Parameters of a numpydoc docstring."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", inspect.getdoc(value), re.M | re.S)
    lines = re.findall(r"^(\S[^:]*?)\s*(?::.*)?$", section[1], re.M) if section else []
    return [name.strip(" *") for line in lines for name in line.split(",")]


@pytest.mark.parametrize("value", [pytest.param(v, id=name) for name, v in public_objects()])
def test_the_documented_parameters_are_the_real_ones(value):
    """Inherited constructors included, which the linter of docstrings does not see."""
    if isinstance(value, type) and issubclass(value, Exception):
        return  # made by anybody, of a message
    assert documented_parameters(value) == list(inspect.signature(value).parameters)
    if inspect.isclass(value):
        for name, method in inspect.getmembers(value, inspect.isfunction):
            if not name.startswith("_") and method.__module__.startswith("sklstm"):
                signature = list(inspect.signature(method).parameters)[1:]
                assert documented_parameters(method) == signature, name


# Floors, where import-linter cannot see


def test_no_module_imports_the_whole_package():
    """It would reach every floor, and import-linter has to pass over such lines."""
    importing = [
        relative(path)
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and node.module == "sklstm")
        or (isinstance(node, ast.Import) and any(a.name == "sklstm" for a in node.names))
    ]
    assert importing == []


def imported_modules(path):
    """Modules named by the import and cimport lines of a Cython file."""
    pattern = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\b|c?import\s+([\w., ]+))", re.M)
    for match in pattern.finditer(path.read_text()):
        for name in (match[1] or match[2]).split(","):
            yield name.split()[0]


def within(name, *packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


def test_there_are_cython_files_to_check():
    found = {name for path in CYTHON_FILES for name in imported_modules(path)}
    assert {"libc.math", "sklstm._kernels._table"} <= found


@pytest.mark.parametrize("path", CYTHON_FILES, ids=relative)
def test_kernels_import_nothing_from_the_floors_above(path):
    above = [
        name
        for name in imported_modules(path)
        if (within(name, "sklstm") and not within(name, "sklstm._kernels"))
        or within(name, "sklearn", "scipy", "pandas")
    ]
    assert above == []


@pytest.mark.parametrize("path", [p for p in CYTHON_FILES if "isa" in p.relative_to(SOURCES).parts], ids=relative)
def test_the_kernel_text_knows_no_python(path):
    """The lowest floor: floats and sizes. Its only link upward is the capsule with the table."""
    code = re.sub(r"#.*", "", path.read_text())
    forbidden = r"\bnumpy\b|\bwith gil\b|\b(?:m|c|re|aligned_)alloc\b|\bpthread|\bpool_run\b"
    assert re.findall(forbidden, code) == []
    allowed = ("libc", "cpython.pycapsule", "sklstm._kernels._calls", "sklstm._kernels._table")
    assert [name for name in imported_modules(path) if not within(name, *allowed)] == []


# The project's own commands


def test_ci_script_can_run():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


def test_linters_have_the_same_versions_everywhere():
    """`make lint` reads pyproject.toml, pre-commit its own file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    pinned = re.findall(r'additional_dependencies: \["(.+?)"\]', hooks)
    assert set(pinned) == set(project["optional-dependencies"]["lint"])


def test_import_loads_nothing_that_was_not_asked_for():
    """`import sklstm` is to cost next to nothing; scikit-learn's metrics and feature selection alone take 120 ms."""
    code = """
import sys, sklstm
heavy = {"sklearn", "sklstm.regressor", "sklstm._kernels"}
print(sorted(heavy & set(sys.modules)), set(sklstm.__all__) <= set(dir(sklstm)))
from sklstm import DeepLSTMRegressor
print(sorted({"sklearn.metrics", "sklearn.feature_selection"} & set(sys.modules)))
try:
    sklstm.DeepGRURegressor
except AttributeError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout.splitlines() == ["[] True", "[]", "module 'sklstm' has no attribute 'DeepGRURegressor'"]


def test_no_module_changes_the_state_of_the_process():
    """Saved and put back by several threads at once, such a state stays changed."""
    changes = (
        r"(threadpool_limits|catch_warnings|simplefilter|set_config|seterr|random\.seed|setlocale)\(|os\.environ\["
    )
    found = []
    paths = sorted(PACKAGE.rglob("*.py")) + sorted(PACKAGE.rglob("*.p[yx][xi]"))
    for path in (path for path in paths if path.parent.name != "cli"):  # a command has a process of its own
        for number, line in enumerate(path.read_text().splitlines(), 1):
            is_said = line.lstrip().startswith(("#", ">>>", '"', 'f"')) or "`" in line
            if re.search(changes, line) and "sklearn.set_config(" not in line and not is_said:
                found.append(f"{path.name}:{number}: {line.strip()}")
    assert found == []


def test_the_conda_recipe_asks_for_what_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    recipe = (ROOT / "conda" / "meta.yaml").read_text()
    listed = {line.strip(" -").replace(" ", "") for line in recipe.splitlines() if line.startswith("    - ")}
    required = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    assert [line for line in required if line not in listed] == []
    pattern = re.search(r'load_file_regex\("\.\./sklstm/_version\.py", "(.+?)", from', recipe)[1].replace('\\"', '"')
    assert re.search(pattern, (ROOT / "sklstm" / "_version.py").read_text())[1] == sklstm.__version__
