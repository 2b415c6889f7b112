"""Where things are in the working copy."""

from __future__ import annotations

import os
import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A profile is a build directory of its own with its own Meson options.
# Instrumented code has GCC 12 warn of values that are always set, so there a warning is no error.
PROFILES: dict[str, list[str]] = {
    "release": [],
    "asan": ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dwerror=false"],
    "tsan": ["-Db_sanitize=thread", "-Db_lundef=false", "-Dwerror=false"],
}

# What a cluster runs, in Ninja's words; an experiment names its own programs.
NODE = "broker/qlab-node"


def build_dir(profile: str) -> pathlib.Path:
    return ROOT / ("build" if profile == "release" else f"build-{profile}")


def tool(name: str) -> str:
    """Debian's own program first: another one may run under a Python without the modules."""
    debian = pathlib.Path("/usr/bin") / name
    return str(debian) if debian.exists() else shutil.which(name) or name


def child_env(profile: str = "release") -> dict[str, str]:
    """What the project's own Python children need: the packages, and which binaries to run."""
    env = dict(os.environ)
    path = [str(ROOT / "scripts"), str(ROOT), env.get("PYTHONPATH", "")]
    env["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
    env["QLAB_BUILD_DIR"] = str(build_dir(profile))
    return env
