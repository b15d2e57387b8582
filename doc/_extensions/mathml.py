"""Formulas as MathML, which browsers draw by themselves: a page needs no script from elsewhere."""

from html import escape

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.logging import getLogger


def _mathml(node, as_block):
    try:
        return tex2mathml(node.astext().replace(r"\_", "_"), as_block=as_block)
    except MathError as error:
        getLogger(__name__).warning("%s", error, location=node)
        return f"<code>{escape(node.astext())}</code>"


def inline(translator, node):
    """Write a formula within a line.

    Parameters
    ----------
    translator : HTML5Translator
        What writes the page.
    node : docutils.nodes.math
        The formula.
    """
    translator.body.append(_mathml(node, False))
    raise nodes.SkipNode


def block(translator, node):
    """Write a formula of its own.

    Parameters
    ----------
    translator : HTML5Translator
        What writes the page.
    node : docutils.nodes.math_block
        The formula.
    """
    translator.body += ['<div class="formula">', _mathml(node, True), "</div>\n"]
    raise nodes.SkipNode


def setup(app):
    """Connect with Sphinx.

    Parameters
    ----------
    app : Sphinx
        The build.
    """
    app.add_html_math_renderer("docutils_mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
