"""The pytest plugin: clusters, topics and histories as fixtures.

    @pytest.mark.cluster(brokers=1)
    def test_what_is_written_is_read(cluster, topic, history):
        topic.produce(records=100, history=history)
        checkers.require(history, topic.read_all())

The marker `cluster` stands on every test that runs real nodes; its arguments are LocalCluster's. A
failing test keeps its directory (configuration, logs, data, traces, history) under .qlab/runs/ and
names it.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from harness import control, faults
from harness.cluster import PLANES, LocalCluster
from harness.history import History
from harness.workload import Topic

MODULES = ["raft", "kraft", "zab"]
RUNS = control.REPOSITORY / ".qlab" / "runs"
_FAILED = pytest.StashKey[bool]()
_DIRECTORY = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("quorumlab")
    group.addoption("--engine", action="append", metavar="E",
                    help="storage engine of the nodes; may be repeated (default: buffered, and "
                         "uring too where a test has the marker both_engines)")
    group.addoption("--layout", action="append", metavar="L",
                    help="log layout of the nodes; may be repeated (default: per_partition, and "
                         "shared too where a test has the marker both_layouts)")
    group.addoption("--module", action="append", metavar="M",
                    help="consensus module of the metadata log; may be repeated (default: the "
                         "plane's; all three where a test has the marker all_modules)")
    group.addoption("--plane", action="append", metavar="P", choices=list(PLANES),
                    help="preset of controller and consensus module; may be repeated (default: "
                         "raft, and all where a test has the marker all_planes)")
    group.addoption("--kills", type=int, default=3, metavar="N",
                    help="how often test_kill kills a process (default: 3; in full: 20)")
    group.addoption("--crashes", type=int, default=6, metavar="N",
                    help="rounds of each crash test of the storage (default: 6; in full: "
                         "python3 -m harness.storage.crash)")
    group.addoption("--seed", type=int, default=None, metavar="S",
                    help="seed of random choices (default: a new one, which is printed)")
    group.addoption("--node-binary", type=Path, default=None, metavar="FILE",
                    help="the node to test (default: build/broker/qlab-node)")
    group.addoption("--keep-runs", action="store_true",
                    help="keep the directories of passing tests too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster(**options): runs real nodes; the options are "
                                       "those of harness.cluster.LocalCluster")
    config.addinivalue_line("markers", "both_engines: meets so much of the engine that it also "
                                       "runs on uring when no --engine is given")
    config.addinivalue_line("markers", "both_layouts: meets so much of the log layout that it also "
                                       "runs on shared when no --layout is given")
    config.addinivalue_line("markers", "all_modules: meets so much of the consensus module that it "
                                       "runs on each of them when no --module is given")
    config.addinivalue_line("markers", "all_planes: meets so much of the control plane that it "
                                       "runs on each of them when no --plane is given")
    if config.option.seed is None:
        config.option.seed = random.SystemRandom().randrange(1 << 32)
    # A loaded machine is no reason to fail; a failing example prints what reproduces it.
    hypothesis.settings.register_profile("quorumlab", deadline=None, print_blob=True)
    hypothesis.settings.load_profile("quorumlab")
    # Whoever ends a run with SIGTERM gets the fixtures' clean-up, and leaves no node behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> list[str]:
    reasons = [f"fault {name} cannot be done: {why}" for name, why in faults.missing().items()]
    return [f"quorumlab: --seed {config.option.seed}", *reasons]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        both = metafunc.definition.get_closest_marker("both_engines") is not None
        engines = metafunc.config.option.engine or ["buffered", *(["uring"] if both else [])]
        metafunc.parametrize("engine", engines, scope="session")
    if "layout" in metafunc.fixturenames:
        both = metafunc.definition.get_closest_marker("both_layouts") is not None
        layouts = metafunc.config.option.layout or ["per_partition", *(["shared"] if both else [])]
        metafunc.parametrize("layout", layouts, scope="session")
    if "module" in metafunc.fixturenames:
        every = metafunc.definition.get_closest_marker("all_modules") is not None
        modules = metafunc.config.option.module or (MODULES if every else None)
        if modules:
            metafunc.parametrize("module", modules, scope="session")
    if "plane" in metafunc.fixturenames:
        every = metafunc.definition.get_closest_marker("all_planes") is not None
        planes = metafunc.config.option.plane or (list(PLANES) if every else None)
        if planes:
            metafunc.parametrize("plane", planes, scope="session")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A fault that this machine cannot do skips the test, with the reason."""
    result = yield
    error = result.excinfo[1] if result.excinfo else None  # type: ignore[attr-defined]
    if isinstance(error, faults.Unavailable):
        pytest.skip(str(error))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    result = yield
    report = result.get_result()  # type: ignore[attr-defined]
    if report.failed:
        item.stash[_FAILED] = True
        directory = item.stash.get(_DIRECTORY, None)
        if directory is not None:
            seed = item.config.option.seed
            report.sections.append(("quorumlab", f"kept {directory}; again with --seed {seed}"))


def _directory(request: pytest.FixtureRequest, name: str) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    words = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:80]
    directory = RUNS / f"{stamp}-{os.getpid()}" / words
    number = 1
    while directory.exists():
        number += 1
        directory = directory.with_name(f"{words}.{number}")
    directory.mkdir(parents=True)
    return directory


def _forget(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.parent.rmdir()  # Only when no other test left something there.
    except OSError:
        pass


@pytest.fixture
def run_directory(request: pytest.FixtureRequest) -> Iterator[Path]:
    """This test's own directory; it stays when the test fails."""
    directory = _directory(request, request.node.name)
    request.node.stash[_DIRECTORY] = directory
    yield directory
    if not request.node.stash.get(_FAILED, False) and not request.config.option.keep_runs:
        _forget(directory)


@pytest.fixture(scope="module")
def module_directory(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory for what all tests of a file share; it stays when one of them fails."""
    failed_before = request.session.testsfailed
    directory = _directory(request, request.module.__name__.rpartition(".")[2])
    yield directory
    if request.session.testsfailed == failed_before and not request.config.option.keep_runs:
        _forget(directory)
    else:
        print(f"quorumlab: kept {directory}")


@pytest.fixture
def new_cluster(run_directory: Path,
                request: pytest.FixtureRequest) -> Iterator[Callable[..., LocalCluster]]:
    """Makes clusters (arguments: LocalCluster's but the root), not started; all end here."""
    made: list[LocalCluster] = []

    def make(**options: Any) -> LocalCluster:
        options.setdefault("binary", request.config.option.node_binary)
        cluster = LocalCluster(run_directory / f"cluster-{len(made) + 1}", **options)
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.kill()


@pytest.fixture(scope="session")
def plane() -> str:
    """The control plane, where neither --plane nor a marker says which."""
    return "raft"


@pytest.fixture(scope="session")
def module() -> str | None:
    """The consensus module, where neither --module nor a marker says which: the plane's."""
    return None


@pytest.fixture
def cluster(new_cluster: Callable[..., LocalCluster], engine: str, layout: str, plane: str,
            module: str | None, request: pytest.FixtureRequest) -> LocalCluster:
    """A cluster of this test's own that serves: three nodes, or what the marker `cluster` says."""
    marker = request.node.get_closest_marker("cluster")
    options = {"engine": engine, "layout": layout, "plane": plane, "module": module,
               **(marker.kwargs if marker else {})}
    made = new_cluster(**options)
    made.start()
    return made


@pytest.fixture
def topic(cluster: LocalCluster) -> Topic:
    """A topic of one partition, replicated to three nodes or as many as there are."""
    return Topic(cluster, "topic").create()


@pytest.fixture
def history(run_directory: Path) -> Iterator[History]:
    """A history that is also a file in the run directory."""
    made = History(run_directory / "history.jsonl")
    yield made
    made.close()


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Random choices of this test, from --seed."""
    return random.Random(f"{request.config.option.seed} {request.node.name}")
