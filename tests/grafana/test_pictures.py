"""The pictures of the dashboards are those that the script draws, and small enough for a page."""

import re

from tests.grafana.files import DASHBOARDS, GRAFANA
from tools.dashboard_pictures.__main__ import PICTURES

ROOT = GRAFANA.parents[1]
IMAGES = [each for each in (ROOT / "docs" / "images").iterdir() if "page" not in each.stem]
"""The other two are of the exporter's own pages."""
NEVER_DRAWN = {"heatmap", "state-timeline"}
"""Panels that are in Grafana's core alone."""


def test_the_images_are_those_that_are_drawn():
    assert {image.stem for image in IMAGES} == {each.name for each in PICTURES}


def test_each_is_on_the_page_which_says_what_they_are():
    text = (ROOT / "docs" / "dashboards.md").read_text()
    for each in PICTURES:
        assert f"](images/{each.name}.png)" in text
    assert re.search(r"They are no\s+screenshots of Grafana", text)


def test_each_is_a_png_under_300_kb():
    for image in IMAGES:
        assert image.read_bytes().startswith(b"\x89PNG")
        assert image.stat().st_size < 300_000


def test_each_shows_existing_rows_and_drawable_panels():
    for picture in PICTURES:
        rows: dict[str, set[str]] = {}
        for panel in DASHBOARDS[picture.uid]["panels"]:
            if panel["type"] == "row":
                kinds = rows[panel["title"]] = set()
            else:
                kinds.add(panel["type"])
        assert set(picture.rows) <= rows.keys()
        assert not NEVER_DRAWN & {kind for row in picture.rows for kind in rows[row]}
