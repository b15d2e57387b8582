"""Docstrings of classes that share parameters: each text is written once, `__doc__` is complete.

A class says in its docstring what is its own. What its bases say of parameters, attributes and in the Notes is put
before it, and the works that are cited by name are listed at the end.
"""

import inspect
import re
from textwrap import fill

from sklstm._bibliography import REFERENCES

_ORDER = ("Parameters", "Attributes", "See Also", "Notes", "References", "Examples")
_INHERITED = ("Parameters", "Attributes", "Notes")


def complete_docstring(cls: type, base: type | None = None, *, own_notes_first: bool = False) -> None:
    """Complete the docstring of a class by that of a base, if any, and by the works that it cites.

    A class without docstring (``python -OO``) stays without. A parameter or an attribute that both describe keeps its
    place in the base and the text of the class. Notes of the class follow those of the base unless `own_notes_first`.
    """
    if cls.__doc__ is None:
        return
    own, inherited = _sections(cls.__doc__), _sections((base and base.__doc__) or "")
    for name in _INHERITED:
        order = (own, inherited) if own_notes_first and name == "Notes" else (inherited, own)
        texts = [sections[name] for sections in order if name in sections]
        if texts:
            own[name] = "\n\n".join(texts) if name == "Notes" else _joined_entries(texts)
    own.pop("References", None)
    cited = sorted({key for text in own.values() for key in re.findall(r"\[(\w+)\]_", text)}, key=str.lower)
    if cited:
        own["References"] = "\n".join(_reference(key) for key in cited)
    parts = [own[""]] + [f"{name}\n{'-' * len(name)}\n{own[name]}" for name in _ORDER if name in own]
    text = "\n\n".join(parts)
    cls.__doc__ = "\n".join(f"    {line}" if line else "" for line in text.splitlines()).strip() + "\n    "


def _sections(docstring):
    """Return the text of each section by its title; what comes before them all has the title ''."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    titles, texts = ["", *parts[1::2]], parts[::2]
    return {title: text.strip("\n") for title, text in zip(titles, texts, strict=True)}


def _joined_entries(texts):
    entries = {}
    for text in texts:
        for entry in re.split(r"\n(?=\S)", text):
            entries[entry.partition(" : ")[0]] = entry
    return "\n".join(entries.values())


def _reference(key):
    return fill(f".. [{key}] {REFERENCES[key]}", 112, subsequent_indent="   ", break_on_hyphens=False)
