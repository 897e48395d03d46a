"""The templates: what they refuse, and that HTML is written nowhere else."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import UndefinedError

import pearl_exporter
from pearl_exporter.web.pages.layout import frame_of
from pearl_exporter.web.pages.rendering import render

PACKAGE = Path(pearl_exporter.__file__).parent
TEMPLATES = sorted((PACKAGE / "web/pages/templates").glob("*.html"))
ELEMENT = re.compile(r"(?<!\?P)</?[a-z][a-z0-9]*(\s[^<>]*=|\s*/?>)")
"""An element, as ``<p>``, ``</p>`` or ``<a href=``."""


def frame():
    return frame_of("title", "/", 0, reloads=True)


def strings(source: str) -> list[str]:
    """The strings of a module that are not docstrings."""
    tree = ast.parse(source)
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


def test_no_python_string_has_html():
    """HTML is written in templates, where every value is escaped."""
    assert strings('"<p>"\nX = f"<b>{1}"') == ["<b>"]
    found = {
        file.relative_to(PACKAGE).as_posix(): text
        for file in PACKAGE.rglob("*.py")
        for text in strings(file.read_text())
        if ELEMENT.search(text)
    }
    assert found == {}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_no_template_goes_around_the_escape(template):
    text = template.read_text()
    assert "safe" not in text
    assert "autoescape" not in text
    assert " style=" not in text


def test_a_value_is_escaped_where_it_stands():
    page = SimpleNamespace(summary="<b>\"'&", rows=())
    assert "<p>&lt;b&gt;&#34;&#39;&amp; Metrics" in render("overview.html", frame(), page)


@pytest.mark.parametrize("template", ["overview.html", "outbound.html"])
def test_a_name_that_a_page_does_not_have_is_an_error(template):
    with pytest.raises(UndefinedError, match="has no attribute"):
        render(template, frame(), SimpleNamespace())


def test_jinja_is_imported_when_a_page_is_rendered():
    """The command line answers without it."""
    script = (
        "import sys, pearl_exporter.cli; assert 'jinja2' not in sys.modules;"
        "from pearl_exporter.web.pages.rendering import load_templates; load_templates();"
        "assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
