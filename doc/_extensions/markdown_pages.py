"""Markdown pages of the source tree as pages of the site, without a change to their text.

- ``{include} ../README.md`` in a page stands for a file outside doc/, whose links are those of its own folder.
- A link to a file goes to its page: a folder's is its index, an example's is in the gallery.
- index.md of a folder leads the pages of the folder, those that it links first, in its order.
"""

import os
import re
from pathlib import Path

_INCLUDE = re.compile(r"^```\{include\} (\S+)\n(?::start-after: (.*)\n)?(?::end-before: (.*)\n)?```$", re.M)
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s]+)((?:#[^)]*)?\))")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`(?!\])", re.M | re.S)
# Files of the root that have a page.
PAGES = {"README.md": "get_started", "CONTRIBUTING.md": "developers/contributing", "CHANGELOG.md": "changelog"}
PAGES |= {"SECURITY.md": "developers/security", "CODE_OF_CONDUCT.md": "developers/code_of_conduct"}


def linked(link, folder, doc):
    """Return the link as the site has it, relative to the top of the site, or None where it stays.

    Parameters
    ----------
    link : str
        A path, relative to `folder`.
    folder : Path
        Where the page lies in the source tree.
    doc : Path
        The folder of the site's sources.
    """
    if "://" in link or link.startswith("mailto:"):
        return None
    path = Path(os.path.normpath(folder / link))
    root = doc.parent
    if path.is_dir() and doc in path.parents:
        path = path / "index.md"
    if root / "examples" in path.parents and path.suffix == ".py":
        return f"examples/{path.stem}.rst"
    if path.parent == root and path.name in PAGES:
        return f"{PAGES[path.name]}.md"
    return path.relative_to(doc).as_posix() if doc in path.parents else None


def rewritten(text, folder, page, doc):
    """Return the text of a page with links as the site has them; code stays.

    Parameters
    ----------
    text : str
        Markdown.
    folder : Path
        Where its links start.
    page : Path
        The file of the site that shows it.
    doc : Path
        The folder of the site's sources.
    """

    def replace(match):
        before, link, after = match.groups()
        target = linked(link, folder, doc)
        return before + (os.path.relpath(doc / target, page.parent) if target else link) + after

    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [_LINK.sub(replace, text[end : code.start()]), code.group()]
        end = code.end()
    return "".join([*parts, _LINK.sub(replace, text[end:])])


def toctree(text, page, doc):
    """Return a hidden table of contents of the folder that an index leads.

    Parameters
    ----------
    text : str
        Markdown of the index.
    page : Path
        Its file.
    doc : Path
        The folder of the site's sources.
    """
    links = [Path(os.path.normpath(page.parent / link)) for _, link, _ in _LINK.findall(text)]
    own = {path for path in page.parent.glob("*.md") if path != page}
    ordered = [path for path in dict.fromkeys(links) if path in own]
    ordered += sorted(own - set(ordered))
    entries = "\n".join(path.stem for path in ordered)
    return f"\n\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"


def read(app, docname, source):
    """Prepare a Markdown page as it is read.

    Parameters
    ----------
    app : Sphinx
        The build.
    docname : str
        The page.
    source : list of str
        Its text, replaced in place.
    """
    doc = Path(app.srcdir)
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return

    def include(match):
        name, start, end = match.groups()
        path = Path(os.path.normpath(page.parent / name))
        app.env.note_dependency(str(path))
        text = path.read_text(encoding="utf-8")
        if start:
            text = text.partition(start)[2]
        if end:
            text = text.partition(end)[0]
        return rewritten(text, path.parent, page, doc)

    text = rewritten(source[0], page.parent, page, doc)
    if page.name == "index.md" and page.parent != doc:
        text += toctree(source[0], page, doc)
    source[0] = _INCLUDE.sub(include, text)


def setup(app):
    """Connect with Sphinx.

    Parameters
    ----------
    app : Sphinx
        The build.
    """
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
