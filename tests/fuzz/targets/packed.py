"""ZIP files and mails with file-sets, and every file in them (PS3.12 V, W, K)."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from agent.errors import GantryError
from agent.media.found import Damage
from agent.media.reading import found_in
from agent.media.tree_opening import tree_of
from tests.fuzz.target import Target, open_bytes
from tests.fuzz.targets.directory import example_set
from tests.media.packed_files import mail_of_parts, mail_with_zip, zipped

_MOST_FILES = 20


def run(data: bytes) -> None:
    """As a file that somebody names as a medium."""
    with open_bytes(data) as descriptor:
        place = Path(f"/proc/self/fd/{descriptor}")
        tree = tree_of(place)
        try:
            for number, name in enumerate(tree.files()):
                if isinstance(name, Damage):
                    continue
                assert ".." not in name.split("/") and not name.startswith("/"), name
                if number < _MOST_FILES:
                    with suppress(GantryError):
                        os.close(tree.open(name))
        finally:
            tree.close()
        for _ in found_in(place):
            pass


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def seeds() -> Iterator[bytes]:
    """A file-set as we pack it."""
    folder, source = _folder(), example_set()
    for number, make in enumerate((zipped, mail_of_parts, mail_with_zip)):
        out = folder / str(number)
        out.unlink(missing_ok=True)
        out.with_suffix(".attached").unlink(missing_ok=True)
        yield make(source, out).read_bytes()
    quoted = (
        b'From: a@b\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n'
        b"Content-Type: application/dicom; id=\"DICOMDIR\"; name*0*=utf-8''a%20; name*1=b\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=00=01abc=\r\n\r\n--x\r\n"
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n"
    )
    yield quoted


TARGET = Target(run, seeds, seconds=1.0, longest=1 << 15)
