"""``python -m pearl_exporter``."""

from pearl_exporter.cli import main

if __name__ == "__main__":
    main()
