"""A trial's raw data: lines of JSON, gzipped while they are written, and packed when it is over."""

from __future__ import annotations

import gzip
import json
import lzma
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Half the size of gzip; a higher preset takes ten times as long for a tenth less.
_XZ = ({"id": lzma.FILTER_LZMA2, "preset": 6, "nice_len": 64, "depth": 16},)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of lines, given without the suffix of its compression. A file whose
    writer was killed ends where it was flushed last.

    Errors: FileNotFoundError; ValueError for a line that is no JSON.
    """
    packed = path.with_name(path.name + ".xz")
    file = (lzma.open(packed, "rt", encoding="utf-8") if packed.exists()
            else gzip.open(path.with_name(path.name + ".gz"), "rt", encoding="utf-8"))
    with file:
        try:
            for line in file:
                if line.endswith("\n"):
                    yield json.loads(line)
        except EOFError:
            return


def pack(directory: Path, below: Sequence[Path]) -> None:
    """Makes every .gz an .xz, and every path in a text file relative, as `relative` does: what is
    left can be given to others."""
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        if path.suffix == ".gz":
            path.with_suffix(".xz").write_bytes(
                lzma.compress(_plain(path.read_bytes()), filters=list(_XZ)))
            path.unlink()
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        changed = relative(text, below)
        if changed != text:
            path.write_text(changed, encoding="utf-8")


def relative(text: str, below: Sequence[Path]) -> str:
    """The text with the paths below the given directories relative to those. Of two directories,
    one in the other, the inner one comes first."""
    for directory in below:
        text = text.replace(f"{directory}/", "").replace(str(directory), ".")
    return text


def _plain(data: bytes) -> bytes:
    """Decompresses gzip, up to where a killed writer left it."""
    plain = b""
    while data:
        member = zlib.decompressobj(wbits=31)
        plain += member.decompress(data)
        data = member.unused_data
    return plain[:plain.rfind(b"\n") + 1]
