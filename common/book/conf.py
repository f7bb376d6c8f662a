"""How Sphinx makes the book of the pages that book.py has written. See https://www.sphinx-doc.org/en/master/usage/configuration.html"""
import html
import os
import re

from sphinx.builders import _epub_base

_epub_base.MEDIA_TYPES[".woff2"] = "font/woff2"  # else an EPUB is without its fonts

kind = os.environ["BOOK"]  # html, epub or pdf
version = release = os.environ["BOOK_VERSION"]
project = "From fork to a pool of processes"
author = "The authors of this course"
copyright = f"{author}: texts CC BY 4.0, code MIT"  # pylint: disable=redefined-builtin
language = "en"
root_doc = "index"
extensions = ["myst_parser"] + (["sphinx_copybutton"] if kind == "html" else [])
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4  # as a host makes them
myst_enable_extensions = []
# What has no grammar here stays as it is: it is no mistake of the page.
suppress_warnings = ["misc.highlighting_failure", "epub.unknown_project_files"]
highlight_language = "text"
pygments_style = "colours.Light"
smartquotes = False  # code stands in the text, and quotes of C are straight

# What is to be typed, without what the shell says before it.
copybutton_prompt_text = r"\$ |> |\(gdb\) "
copybutton_prompt_is_regexp = True
copybutton_selector = "div.highlight-console pre, div.highlight-c pre, div.highlight-python pre, div.highlight-sh pre, div.highlight-text pre"

html_theme = "furo" if kind == "html" else "basic"
html_title = project
html_static_path = [os.environ["BOOK_STATIC"]]
html_css_files = ["book.css", "handover.css"] if kind == "html" else ["paper.css"]
html_js_files = ["book.js", "handover.js"] if kind == "html" else []
html_show_sourcelink = False
html_copy_source = False
html_use_index = False
html_domain_indices = False
html_permalinks_icon = "#"
if kind == "html":
    pygments_dark_style = "colours.Dark"
    html_theme_options = {
        "light_css_variables": {"font-stack": "'IBM Plex Sans', 'DejaVu Mono', Helvetica, Arial, sans-serif",
                                "font-stack--monospace": "'IBM Plex Mono', 'DejaVu Mono', Menlo, Consolas, monospace",
                                "color-brand-primary": "#0060a0", "color-brand-content": "#0060a0"},
        "dark_css_variables": {"color-brand-primary": "#7cc4f5", "color-brand-content": "#7cc4f5"},
    }

epub_theme = "epub"
epub_show_urls = "no"
epub_css_files = ["paper.css"]
epub_tocscope = "includehidden"
epub_use_index = False
epub_identifier = "prefork-course"
epub_uid = "prefork-course"
epub_scheme = "ID"

epub_publisher = epub_contributor = author
epub_description = "A course in C for Linux: how a network server gets from a process per connection to a pool of processes"
epub_exclude_files = ["_static/book.js", "search.xhtml", "genindex.xhtml"]


def context_of(app, name, template, context, tree):
    # No icon: else a browser asks for one that is not there.
    context["metatags"] = context.get("metatags", "") + '<link rel="icon" href="data:,">'
    # From exercise to exercise, and not into the solution, which is below each.
    tasks = sorted(page for page in app.env.found_docs if re.fullmatch(r"exercises/\d\d-\d.*/index", page))
    if re.match(r"solutions/\d\d-\d", name):
        context["prev"] = context["next"] = None
    elif name in tasks:
        at = tasks.index(name)
        for way, page in ("prev", tasks[at - 1] if at else "exercises/index"), ("next", (tasks + [None])[at + 1]):
            context[way] = page and {"link": app.builder.get_relative_uri(name, page),
                                     "title": html.escape(app.env.titles[page].astext())}


def setup(app):
    if kind == "html":
        app.connect("html-page-context", context_of)
