"""Write every dashboard to its file."""

from tools.dashboards.files import FOLDER, dashboards, to_json

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for uid, dashboard in dashboards().items():
        (FOLDER / f"{uid}.json").write_text(to_json(dashboard), encoding="utf-8")
