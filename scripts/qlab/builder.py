"""Configures with Meson, builds with Ninja, and shows how far it is."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess

import click

from qlab import packages, paths, progress

# A translation unit that includes gRPC or Asio peaks near this; fewer jobs are better than swap.
_COMPILER_BYTES = 1.2e9
_NINJA_LINE = re.compile(r"\[(\d+)/(\d+)\] (.*)")


class StepFailed(click.ClickException):
    """A build step failed; its output has been shown."""


def ensure_packages(*, everything: bool = False) -> list[str]:
    """Installs what is missing.

    Errors: click.ClickException with the line to run.
    """
    try:
        names = packages.ensure(everything=everything)
    except packages.SetupError as error:
        raise click.ClickException(str(error)) from error
    if names:
        progress.say(f"installed {len(names)} packages: {' '.join(names)}")
    return names


def _meminfo_available_bytes() -> float:
    text = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return float(found[1]) * 1024 if found else _COMPILER_BYTES


def default_jobs() -> int:
    by_memory = int(_meminfo_available_bytes() // _COMPILER_BYTES)
    return max(1, min(len(os.sched_getaffinity(0)), by_memory))


def is_configured(directory: pathlib.Path) -> bool:
    return (directory / "build.ninja").exists()


def _check_same_source(directory: pathlib.Path) -> None:
    """A copied working copy brings a build directory that would build the original."""
    info = directory / "meson-info" / "meson-info.json"
    if not info.exists():
        return
    source = json.loads(info.read_text(encoding="utf-8"))["directories"]["source"]
    if pathlib.Path(source).resolve() != paths.ROOT:
        raise click.ClickException(
            f"{directory.name}/ was configured for {source}, not for {paths.ROOT}: remove it "
            f"(rm -r {directory})")


def configure(profile: str) -> None:
    """Runs `meson setup` where the profile's build directory is not there yet."""
    directory = paths.build_dir(profile)
    if is_configured(directory):
        _check_same_source(directory)
        return
    env = dict(os.environ)
    if shutil.which("ld.lld"):
        env.setdefault("CXX_LD", "lld")
    command = [paths.tool("meson"), "setup", str(directory), *paths.PROFILES[profile]]
    with progress.step(f"configuring {directory.name}/"):
        done = subprocess.run(command, cwd=paths.ROOT, env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        click.echo(done.stdout[-6000:] + done.stderr, err=True)
        raise StepFailed(f"meson setup failed with status {done.returncode}")


def ninja(profile: str, targets: list[str], jobs: int | None, title: str) -> None:
    """Builds the targets (all, if none is named).

    Errors: StepFailed, after the compiler's output has been shown.
    """
    command = [paths.tool("ninja"), "-C", str(paths.build_dir(profile)),
               "-j", str(jobs or default_jobs()), *targets]
    env = dict(os.environ, NINJA_STATUS="[%f/%t] ")
    output: list[str] = []
    with progress.step(title) as step:
        child = subprocess.Popen(command, cwd=paths.ROOT, env=env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 errors="replace")
        assert child.stdout is not None
        for line in child.stdout:
            found = _NINJA_LINE.match(line)
            if found:
                step.update(int(found[1]), int(found[2]), found[3])
            else:
                output.append(line)
        code = child.wait()
    if code != 0:
        click.echo("".join(output), err=True)
        raise StepFailed(f"the build failed (profile {profile}); ninja's status is {code}")


def build(profile: str, *, targets: list[str] | None = None, jobs: int | None = None) -> None:
    """Sets up and builds what is missing; returns at once where nothing is."""
    ensure_packages()
    configure(profile)
    ninja(profile, targets or [], jobs, f"building {paths.build_dir(profile).name}/")
