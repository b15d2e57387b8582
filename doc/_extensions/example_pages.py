"""Pages of the gallery: the first line of an example is its title, and those that do not run in the build say so."""

import re
from pathlib import Path

_HEAD = re.compile(r"(\.\. _sphx_glr_examples_(\w+)\.py:\n\n+)(\S.*)\n")
_PAGE = re.compile(r"\bdoc/((?:guide|studies|developers)/\w+|performance)\.md\b")
# The picture of an example that does not run, from a page of the studies.
_PICTURE = re.compile(r'^# sphinx_gallery_thumbnail_path = "(.*)"$', re.M)
NOT_RUN = """.. note::

   This example is not run where these pages are built: it takes minutes, or reads data that is not part of the package.
   Where a page of the studies is named, it has the results.
"""


def order(name):
    """Return where an example stands in the gallery: those with pictures first.

    Parameters
    ----------
    name : str
        Its file.
    """
    return (not name.startswith("plot_"), name)


def read(app, docname, source):
    """Prepare the page of an example as it is read.

    Parameters
    ----------
    app : Sphinx
        The build.
    docname : str
        The page.
    source : list of str
        Its text, replaced in place.
    """
    head = _HEAD.search(source[0])
    if not docname.startswith("examples/") or not head:
        return
    label, name, title = head.groups()
    runs = re.search(app.config.sphinx_gallery_conf["filename_pattern"], f"/{name}.py")
    title = title.rstrip(".")
    text, code = source[0][: head.start()], source[0][head.end() :]
    prose, mark, code = code.partition(".. GENERATED FROM PYTHON SOURCE")
    prose = _PAGE.sub(lambda match: f":doc:`/{match[1]}`", prose)
    parts = [text, label, title, "\n", "=" * len(title), "\n\n"]
    if not runs:
        parts += [NOT_RUN, "\n"]
        picture = _PICTURE.search((Path(app.srcdir).parent / "examples" / f"{name}.py").read_text(encoding="utf-8"))
        if picture:
            parts += [f".. image:: /{picture[1]}\n   :alt: {title}\n\n"]
    source[0] = "".join([*parts, prose, mark, code])


def setup(app):
    """Connect with Sphinx.

    Parameters
    ----------
    app : Sphinx
        The build.
    """
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
