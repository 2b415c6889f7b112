"""Raw data as they are written, and packed."""

import gzip
import lzma

from experiments import raw_data


def rows(count):
    return "".join(f'{{"id":{n}}}\n' for n in range(count)).encode()


def test_lines_are_the_same_before_and_after_packing(tmp_path):
    (tmp_path / "probe").mkdir()
    path = tmp_path / "probe" / "history.jsonl"
    path.with_name("history.jsonl.gz").write_bytes(gzip.compress(rows(100)))
    before = list(raw_data.lines(path))
    raw_data.pack(tmp_path, ())
    assert [p.name for p in path.parent.iterdir()] == ["history.jsonl.xz"]
    assert list(raw_data.lines(path)) == before == [{"id": n} for n in range(100)]


def test_what_a_killed_writer_left_is_packed_up_to_its_last_whole_line(tmp_path):
    torn = gzip.compress(rows(5000))[:-300]
    (tmp_path / "history.jsonl.gz").write_bytes(torn)
    raw_data.pack(tmp_path, ())
    kept = lzma.decompress((tmp_path / "history.jsonl.xz").read_bytes())
    assert rows(5000).startswith(kept)
    assert kept.endswith(b"\n")
    assert len(kept) > 1000


def test_paths_become_relative_to_the_innermost_directory(tmp_path):
    run = tmp_path / "results" / "run"
    run.mkdir(parents=True)
    (run / "node.properties").write_text(f"log.dir={run}/scratch/data\nbinary={tmp_path}/build\n")
    (run / "bytes").write_bytes(b"\xff\x00")
    raw_data.pack(run, (run, tmp_path))
    assert (run / "node.properties").read_text() == "log.dir=scratch/data\nbinary=build\n"
    assert (run / "bytes").read_bytes() == b"\xff\x00"
    assert raw_data.relative(f"in {run}: no", (run, tmp_path)) == "in .: no"
