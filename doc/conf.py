"""The pages of sklstm as a site: `make docs` builds it into doc/_build.

The Markdown pages are the source, as they stand; what a site needs beside them is in _extensions.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_extensions"))

from sklstm import __version__  # noqa: E402

project = "sklstm"
author = "The sklstm developers"
copyright = "The sklstm developers"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "markdown_pages",
    "api_pages",
    "example_pages",
    "mathml",
]
exclude_patterns = ["_build", "_templates", "_extensions", "**/GALLERY_HEADER.rst", "examples/*.md5"]
templates_path = ["_templates"]
# Names in single backticks are parameters more often than names with a page.
default_role = "literal"
highlight_language = "none"
# Dashes and dots, but no curved quotes: types and defaults such as {"layer", "rms"} are code.
smartquotes_action = "De"

# Every reference has to lead somewhere. The types in signatures and the documentation of scikit-learn's own methods
# name objects of other packages, whose inventories a build without a network cannot read.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!sklstm\.).*")]

autodoc_typehints = "none"  # the docstrings say more
toc_object_entries_show_parents = "hide"
autodoc_member_order = "alphabetical"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["config.cache"]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "examples",
    # The others read data that has to be fetched, or take minutes; example_pages says so on their pages.
    "filename_pattern": r"/plot_(?!deep_recall)",
    "ignore_pattern": r"__init__\.py",
    "within_subsection_order": "example_pages.order",
    "default_thumb_file": str(HERE / "_static" / "not_run.png"),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 0,
    "abort_on_example_error": True,
    "image_scrapers": ("matplotlib",),
    "copyfile_regex": r"",
}

html_math_renderer = "docutils_mathml"
html_theme = "pydata_sphinx_theme"
html_title = f"sklstm {release}"
html_static_path = ["_static"]
html_css_files = ["sklstm.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_depth": 2,
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 8,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "get_started": [], "changelog": [], "performance": []}
