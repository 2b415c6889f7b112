"""Finds and installs the Debian packages of scripts/packages.txt.

Standard library only, and runnable as a script: this is what runs where nothing is installed yet.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

PACKAGES_FILE = pathlib.Path(__file__).resolve().parents[1] / "packages.txt"
_LISTS = pathlib.Path("/var/lib/apt/lists")
_LISTS_AGE_MAX_S = 7 * 24 * 3600.0
_APT_INSTALL = ["apt-get", "install", "-y", "--no-install-recommends"]


class SetupError(Exception):
    """The packages cannot be installed; the text says what to do."""


@dataclass(frozen=True)
class Package:
    name: str
    group: str
    optional: bool


def read_packages(text: str) -> list[Package]:
    """Errors: SetupError naming the line that is neither a group, a comment nor a package."""
    packages: list[Package] = []
    group, optional = "", False
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        header = re.fullmatch(r"\[([a-z]+)\]\s*(optional)?.*", line)
        if header:
            group, optional = header[1], header[2] is not None
        elif group and re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", line):
            packages.append(Package(line, group, optional))
        else:
            raise SetupError(f"packages.txt:{number}: '{line}' is no package name in a [group]")
    return packages


def on_debian() -> bool:
    return shutil.which("dpkg-query") is not None and shutil.which("apt-get") is not None


def installed(names: list[str]) -> set[str]:
    """Which of the names are installed; a name that another package provides counts too."""
    query = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package}\t${db:Status-Status}\t${Provides}\n"],
        capture_output=True, text=True, check=False)
    found: set[str] = set()
    for line in query.stdout.splitlines():
        name, status, provides = line.split("\t")
        if status == "installed":
            found.add(name)
            found.update(entry.split(" ")[0] for entry in provides.split(", "))
    return found.intersection(names)


def missing(packages: list[Package]) -> list[Package]:
    have = installed([package.name for package in packages])
    return [package for package in packages if package.name not in have]


def root_prefix() -> list[str] | None:
    """The words before apt-get that give it root's rights, or None where there is no right."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
        if asked.returncode == 0:
            return ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"]
    return None


def apt_line(names: list[str]) -> str:
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get update && {sudo}{' '.join(_APT_INSTALL)} {' '.join(names)}"


def lists_are_stale(now_s: float, lists: pathlib.Path = _LISTS) -> bool:
    """True where apt has no package lists (as in a container image) or old ones."""
    ages = [now_s - entry.stat().st_mtime for entry in lists.glob("*_Packages*")]
    ages += [now_s - entry.stat().st_mtime for entry in lists.glob("*InRelease")]
    return not list(lists.glob("*_Packages*")) or min(ages) > _LISTS_AGE_MAX_S


class _Meter:
    """A percentage: one line that moves on a terminal, a line per quarter elsewhere."""

    def __init__(self, title: str) -> None:
        self.title_ = title
        self.moves_ = sys.stderr.isatty()
        self.shown_ = -1

    def show(self, percent: float, text: str) -> None:
        if self.moves_:
            columns = shutil.get_terminal_size().columns
            line = f"{self.title_} {percent:3.0f} %  {text}"[: columns - 1]
            sys.stderr.write(f"\r{line}\033[K")
            sys.stderr.flush()
        elif int(percent // 25) > self.shown_:
            self.shown_ = int(percent // 25)
            print(f"{self.title_} {percent:.0f} %", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.moves_:
            sys.stderr.write("\r\033[K")


def _run_apt(prefix: list[str], words: list[str], title: str) -> tuple[int, str]:
    """Returns the exit status and apt's output, kept for the case that it fails."""
    reads, writes = os.pipe()
    # sudo closes inherited descriptors, so apt's status comes only where we are root already.
    status = ["-o", f"APT::Status-Fd={writes}"] if not prefix else []
    command = [*prefix, *words, "-o", "DPkg::Lock::Timeout=600", *status]
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    meter = _Meter(title)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=subprocess.STDOUT, env=env, pass_fds=[writes])
        os.close(writes)
        with os.fdopen(reads, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                parts = line.rstrip("\n").split(":", 3)
                if len(parts) == 4 and parts[0] in ("dlstatus", "pmstatus"):
                    # Fetching is the smaller part of the time.
                    fetching = parts[0] == "dlstatus"
                    percent = float(parts[2])
                    meter.show(percent * 0.3 if fetching else 30 + percent * 0.7, parts[3])
        code = child.wait()
        meter.close()
        output.seek(0)
        return code, output.read()


def install(names: list[str]) -> None:
    """Installs the packages, never removing another.

    Errors: SetupError with the exact line to run where there is no right to install, or with apt's
    own words where it fails.
    """
    prefix = root_prefix()
    if prefix is None:
        raise SetupError("no right to install packages (neither root nor passwordless sudo). "
                         f"Run this, then again what you ran:\n  {apt_line(names)}")
    updated = lists_are_stale(time.time())
    if updated:
        code, output = _run_apt(prefix, ["apt-get", "update"], "reading the package lists")
        if code != 0:
            raise SetupError(f"apt-get update failed with status {code}:\n{output.strip()}")
    words = [*_APT_INSTALL, "--no-remove", *names]
    title = f"installing {len(names)} packages"
    code, output = _run_apt(prefix, words, title)
    if code != 0 and not updated:  # Lists that look fresh may still name versions that are gone.
        _run_apt(prefix, ["apt-get", "update"], "reading the package lists")
        code, output = _run_apt(prefix, words, title)
    if code != 0:
        tail = "\n".join(output.strip().splitlines()[-25:])
        raise SetupError(f"apt-get failed with status {code}; nothing is removed to make room:\n"
                         f"{tail}\nThe line was:\n  {apt_line(names)}")


def ensure(*, everything: bool) -> list[str]:
    """Installs what is missing and returns its names.

    With `everything`, optional packages are wanted too; without, they are only brought along when
    something else is missing.

    Errors: SetupError.
    """
    packages = read_packages(PACKAGES_FILE.read_text(encoding="utf-8"))
    if not on_debian():
        if everything:
            names = " ".join(package.name for package in packages)
            raise SetupError("no dpkg-query or no apt-get: this is not a Debian system. Needed is "
                             f"what Debian 12 calls\n  {names}")
        return []
    absent = missing(packages)
    if not everything and all(package.optional for package in absent):
        return []
    names = [package.name for package in absent]
    if names:
        install(names)
        still = [package.name for package in missing(packages)]
        if still:
            raise SetupError(f"apt-get succeeded, but these are still missing: {' '.join(still)}")
    return names


def main() -> int:
    try:
        names = ensure(everything=True)
    except SetupError as error:
        print(f"qlab setup: {error}", file=sys.stderr)
        return 1
    if names:
        print(f"installed {len(names)} packages: {' '.join(names)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
