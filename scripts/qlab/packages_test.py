"""Tests of packages.py and of the launcher, with stand-ins for apt and dpkg on the PATH."""

import os
import pathlib
import subprocess
import sys

import pytest

from qlab import packages, paths

DPKG = """#!/bin/sh
printf 'g++\\tinstalled\\t\\n'
printf 'pkgconf\\tinstalled\\tpkg-config (= 1.8.1), other\\n'
printf 'ccache\\tconfig-files\\t\\n'
"""


@pytest.fixture(name="path")
def fixture_path(tmp_path, monkeypatch):
    """A folder in front of the PATH; what apt-get is called with lands in its file `apt`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    put(folder, "dpkg-query", DPKG)
    put(folder, "apt-get", f'#!/bin/sh\necho "$@" >> {tmp_path}/apt\n')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def put(folder: pathlib.Path, name: str, text: str) -> None:
    program = folder / name
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)


def test_the_list_of_the_project_reads_and_has_no_name_twice():
    found = packages.read_packages(packages.PACKAGES_FILE.read_text(encoding="utf-8"))
    names = [package.name for package in found]
    assert len(names) == len(set(names))
    assert {"build", "python"} <= {package.group for package in found if not package.optional}
    assert "ccache" in [package.name for package in found if package.optional]


@pytest.mark.parametrize("text", ["g++\n", "[build] x\ng++ meson\n", "[build] x\nG++\n"])
def test_a_line_that_is_no_package_is_named(text):
    with pytest.raises(packages.SetupError, match=r"packages\.txt:\d: "):
        packages.read_packages(text)


def test_provided_names_count_and_removed_packages_do_not(path):
    assert packages.installed(["g++", "pkg-config", "ccache", "meson"]) == {"g++", "pkg-config"}


def test_without_the_right_to_install_the_exact_line_is_given(path, monkeypatch):
    monkeypatch.setattr(packages, "root_prefix", lambda: None)
    with pytest.raises(packages.SetupError, match="install -y --no-install-recommends meson lld"):
        packages.install(["meson", "lld"])
    assert not (path.parent / "apt").exists()


def test_old_or_absent_package_lists_are_read_first(path, monkeypatch):
    monkeypatch.setattr(packages, "root_prefix", lambda: [])
    for stale, calls in ((True, ["update", "install"]), (False, ["install"])):
        monkeypatch.setattr(packages, "lists_are_stale", lambda now, answer=stale: answer)
        (path.parent / "apt").unlink(missing_ok=True)
        packages.install(["meson"])
        said = (path.parent / "apt").read_text(encoding="utf-8").splitlines()
        assert [line.split()[0] for line in said] == calls
        assert "--no-remove" in said[-1]
        assert "DPkg::Lock::Timeout=600" in said[-1]


def test_apt_s_own_words_are_shown_when_it_fails(path, monkeypatch):
    put(path, "apt-get", "#!/bin/sh\necho 'E: held broken packages'\nexit 100\n")
    monkeypatch.setattr(packages, "root_prefix", lambda: [])
    monkeypatch.setattr(packages, "lists_are_stale", lambda now: False)
    with pytest.raises(packages.SetupError, match="status 100(.|\n)*held broken packages"):
        packages.install(["meson"])


def test_missing_optional_packages_alone_do_not_start_apt(path, monkeypatch):
    monkeypatch.setattr(packages, "missing",
                        lambda all_: [package for package in all_ if package.optional])
    assert packages.ensure(everything=False) == []
    assert not (path.parent / "apt").exists()


def test_lists_are_stale_without_package_files_and_after_a_week(tmp_path):
    assert packages.lists_are_stale(1e9, tmp_path)
    index = tmp_path / "deb_dists_main_Packages"
    index.write_text("", encoding="utf-8")
    os.utime(index, (1e9, 1e9))
    assert not packages.lists_are_stale(1e9 + 3600, tmp_path)
    assert packages.lists_are_stale(1e9 + 8 * 24 * 3600, tmp_path)


def launch(path: pathlib.Path, *words: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(paths.ROOT / "qlab"), *words], capture_output=True, text=True,
                          env={**os.environ, "PATH": f"{path}:/usr/bin:/bin", **env}, check=False)


def test_the_launcher_passes_over_a_python_without_the_modules(path):
    put(path, "python3", f"#!/bin/sh\nexec {sys.executable} -S -E \"$@\"\n")
    done = launch(path, "check", PYTHON="")
    assert "is not there yet" in done.stderr
    assert done.returncode == 4


def test_the_launcher_says_when_the_python_asked_for_will_not_do(path):
    done = launch(path, "check", PYTHON="no-such-python")
    assert "PYTHON=no-such-python does not see" in done.stderr
    assert done.returncode == 4
