"""Started by the launcher `./qlab` with a Python that has the modules."""

import pathlib
import sys

_ROOT = pathlib.Path(__file__).resolve().parents[2]
# The script's own folder leaves the path: it holds modules, not packages. The root brings in
# `harness` and `experiments`.
sys.path[0:1] = [str(_ROOT / "scripts"), str(_ROOT)]

from qlab.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
