"""Annotations: those that users see, and stubs of the compiled modules."""

import inspect
import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

import sklstm
import sklstm.callbacks
import sklstm.cells
import sklstm.compression
import sklstm.datasets
import sklstm.exchange
import sklstm.inspection
import sklstm.model_selection
import sklstm.online
import sklstm.persistence
import sklstm.preprocessing
import sklstm.streaming

pytest.importorskip("mypy")

HERE = Path(__file__).parent
PACKAGE = Path(sklstm.__file__).parent
STUBS = sorted(PACKAGE.rglob("*.pyi"))
PUBLIC = [
    getattr(module, name)
    for module in (
        sklstm,
        sklstm.callbacks,
        sklstm.cells,
        sklstm.compression,
        sklstm.datasets,
        sklstm.exchange,
        sklstm.online,
        sklstm.inspection,
        sklstm.model_selection,
        sklstm.persistence,
        sklstm.preprocessing,
        sklstm.streaming,
    )
    for name in module.__all__
    if callable(getattr(module, name))
]


def run(tmp_path, *arguments):
    """Run a module in an empty folder, where there is no configuration, and return what it says."""
    environment = {**os.environ, "MYPY_CACHE_DIR": str(tmp_path / "cache")}
    if str(PACKAGE.parent) not in site.getsitepackages():
        environment["MYPYPATH"] = environment["PYTHONPATH"] = str(PACKAGE.parent)
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_uses_pass_a_strict_type_checker(tmp_path):
    """As a user runs it, but that the package may lie in its source folder."""
    assert (PACKAGE / "py.typed").is_file()
    status, said = run(tmp_path, "mypy", "--strict", "--follow-imports=silent", str(HERE / "uses.py"))
    assert status == 0, said


def test_annotations_fit_the_code(tmp_path):
    status, said = run(tmp_path, "mypy", "--ignore-missing-imports", "-p", "sklstm")
    assert status == 0, said


@pytest.mark.parametrize("value", PUBLIC, ids=lambda value: value.__name__)
def test_everything_public_is_annotated(value):
    functions = {value.__name__: value}
    if inspect.isclass(value):
        functions = {
            name: inspect.unwrap(method)
            for name, method in inspect.getmembers(value, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }
    bare = []
    for name, function in functions.items():
        if not function.__module__.startswith("sklstm"):
            continue
        signature = inspect.signature(function)
        bare += [
            f"{name}({p})"
            for p in list(signature.parameters.values())[inspect.isclass(value) :]
            if p.annotation is p.empty
        ]
        bare += [name] if signature.return_annotation is signature.empty else []
    assert bare == []


def test_every_compiled_module_has_a_stub():
    compiled = {path.with_name(path.name.partition(".")[0]) for path in PACKAGE.rglob("*.so")}
    assert {path for path in compiled if not path.name.startswith("_isa_")} == {stub.with_suffix("") for stub in STUBS}


def test_stubs_match_the_compiled_modules(tmp_path):
    modules = [".".join(stub.relative_to(PACKAGE.parent).with_suffix("").parts) for stub in STUBS]
    assert len(modules) >= 8
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nignore_missing_imports = true\n")
    options = ["--ignore-disjoint-bases", "--allowlist", str(HERE / "stub_exceptions.txt"), "--ignore-unused-allowlist"]
    status, said = run(tmp_path, "mypy.stubtest", *options, "--mypy-config-file", str(config), *modules)
    assert status == 0, said
