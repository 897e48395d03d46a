"""Names: no two public classes of the package share one, and those of tests can be read."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pearl_exporter"


def public_classes() -> dict[str, set[str]]:
    """The modules that define each public class, by its name."""
    modules = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].add(path.relative_to(PACKAGE).as_posix())
    return modules


def test_no_two_public_classes_share_a_name():
    shared = {name: sorted(where) for name, where in public_classes().items() if len(where) > 1}
    assert not shared


def test_the_classes_are_found():
    classes = public_classes()
    assert classes["Store"] == {"state/store.py"}
    assert len(classes) > 100


def test_names_of_tests_have_at_most_60_characters():
    names = {
        node.name
        for path in ROOT.glob("tests/**/test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }
    assert len(names) > 1000
    assert not {name for name in names if len(name) > 60}
