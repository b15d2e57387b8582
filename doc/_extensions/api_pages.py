"""A page for each public name: what the `__all__` of the public modules list, written anew at each build.

A name that two modules list has its page in the first of them, the package itself before all others.
"""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

from sklstm._bibliography import REFERENCES

PACKAGE = "sklstm"
FOLDER = "api"
_ROLE = re.compile(r":(?:term|ref|class|func|meth|mod|doc):`(~?)([^`<]*?)(?: *<[^>]*>)?`")
_FITTED = re.compile(r"(?<=[ (])(\w+)_(?=,\))")
_KINDS = ["Estimators", "Classes", "Functions", "Warnings and errors"]
_VERSION = """.. rubric:: Version

.. py:data:: sklstm.__version__
   :type: str

   The version of the package."""
_CITED = re.compile(r"\[(\w+)\]_")


def public_modules():
    """Return the modules with an `__all__` and without an underscore in their path, the package first."""
    package = importlib.import_module(PACKAGE)
    found = sorted(module.name for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."))
    modules = [importlib.import_module(name) for name in found if "._" not in name]
    return [package, *(module for module in modules if hasattr(module, "__all__"))]


def public_names():
    """Return for each module the names that have their page there, and those that have it elsewhere.

    Returns
    -------
    names : dict of str to dict of str to str
        For each module, each name and its page, the object's full name. A module among the names has none.
    """
    pages, names = {}, {}
    for module in public_modules():
        entries = names[module.__name__] = {}
        for name in sorted(module.__all__, key=str.lower):
            value = getattr(module, name)
            if not inspect.ismodule(value) and not isinstance(value, str):
                entries[name] = pages.setdefault(id(value), f"{module.__name__}.{name}")
    return names


def _kind(path):
    module, _, name = path.rpartition(".")
    value = getattr(importlib.import_module(module), name)
    if not inspect.isclass(value):
        return "Functions"
    if issubclass(value, Exception):
        return "Warnings and errors"
    return "Estimators" if hasattr(value, "fit") else "Classes"


def _title(text, line):
    return f"{text}\n{line * len(text)}\n"


def _table(paths, caption=None):
    lines = [f".. rubric:: {caption}\n"] if caption else []
    lines += [".. autosummary::", "   :toctree: generated/", "   :nosignatures:", ""]
    return "\n".join([*lines, *(f"   {path.rpartition('.')[2]}" for path in paths)])


def index_pages():
    """Return the text of the pages that list names, by their names without suffix: one a module, and an index."""
    texts, entries = {}, []
    for module, names in public_names().items():
        own = [path for name, path in names.items() if path == f"{module}.{name}"]
        elsewhere = [path for name, path in names.items() if path != f"{module}.{name}"]
        if not own:
            continue
        documentation = inspect.getdoc(importlib.import_module(module))
        parts = [_title(module, "="), documentation]
        kinds = sorted({_kind(path) for path in own}, key=_KINDS.index)
        for kind in kinds:
            parts.append(_table([path for path in own if _kind(path) == kind], kind if len(kinds) > 1 else None))
        if elsewhere:
            parts.append("Listed here too: " + ", ".join(f":obj:`~{path}`" for path in elsewhere) + ".")
        if module == PACKAGE:
            parts.append(_VERSION)
        texts[module] = f".. module:: {module}\n\n" + "\n\n".join(parts) + "\n"
        summary = documentation.partition("\n")[0]
        entries.append(f"* :doc:`{module} <{module}>`: {summary}")
    contents = ".. toctree::\n   :hidden:\n\n" + "\n".join(f"   {module}" for module in texts)
    start = "Every public name, by module. Names with an underscore, and modules that are not listed, are not public.\n"
    texts["index"] = "\n".join([_title("API", "="), start, *entries, "", contents, ""])
    return texts


def write(app, config):
    """Write the pages that list names.

    Parameters
    ----------
    app : Sphinx
        The build.
    config : Config
        What conf.py says.
    """
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    texts = index_pages()
    known = {path for names in public_names().values() for path in names.values()}
    for path in [*folder.glob("*.rst"), *folder.glob("generated/*.rst")]:
        if path.stem not in (known if path.parent.name == "generated" else texts):
            path.unlink()
    for name, text in texts.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    # By name: pages that are new in this build are not known when autosummary looks for them.
    config.autosummary_generate = [f"{FOLDER}/{name}.rst" for name in texts]


def prepare_docstring(app, what, name, value, options, lines):
    """Make a docstring ready for a page of its own.

    References of scikit-learn's own docstrings, which are to its pages, become plain words; names of fitted attributes
    in types are no links; a work that a method cites is listed there, as the citations of each page are its own.

    Parameters
    ----------
    app, what, name, value, options, lines
        See the event `autodoc-process-docstring`.
    """
    lines[:] = [_FITTED.sub(r"\1\\_", _ROLE.sub(_plain, line)) for line in lines]
    text = "\n".join(lines)
    cited = {key for key in _CITED.findall(text) if key in REFERENCES and f".. [{key}]" not in text}
    if cited and "References\n---" not in text:
        lines += ["", "References", "----------", *(f".. [{key}] {REFERENCES[key]}" for key in sorted(cited)), ""]


def _plain(match):
    shortened, words = match.groups()
    if words.startswith(PACKAGE):
        return match.group()
    return words.rpartition(".")[2] if shortened else words


def check(app, error):
    """Fail where a public name has no page.

    Parameters
    ----------
    app : Sphinx
        The build.
    error : Exception or None
        Why it ended.
    """
    if error or app.builder.format != "html":
        return
    found = {name for name, _, kind, docname, _, _ in app.env.domains["py"].get_objects() if kind != "module"}
    paths = {path for names in public_names().values() for path in names.values()}
    missing = sorted(path for path in paths if path not in found)
    if missing:
        raise RuntimeError(f"public names without a page: {', '.join(missing)}")


def setup(app):
    """Connect with Sphinx.

    Parameters
    ----------
    app : Sphinx
        The build.
    """
    # Before Sphinx looks which pages there are, and autosummary what it has to generate.
    app.connect("config-inited", write)
    # Before numpydoc, which takes the docstrings apart.
    app.connect("autodoc-process-docstring", prepare_docstring, priority=100)
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
