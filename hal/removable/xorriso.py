"""The program xorriso, run as a child: it makes images of discs, burns them, and takes them apart.

It tells its progress in lines; the last lines that complain are what an error of ours says.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from hal.removable import optical
from hal.removable.base import (
    MediaError,
    MediumBusy,
    MediumFull,
    MediumGone,
    NotAllowed,
    NotMountable,
    NotWritten,
)

Progress = Callable[[float], None]
"""Called with how much is done, from 0 to 1, some times a second; what it raises ends the work."""

_PROGRAM = "xorriso"
_PERCENT = re.compile(r"UPDATE : +(\d+(?:\.\d+)?)% done")
_PART = re.compile(r"UPDATE : +(\d+) of +(\d+) MB written")
_COMPLAINT = re.compile(r"(?:SORRY|FAILURE|FATAL) : (.*)")
_MOST_COMPLAINTS = 8
_LONGEST_LINE = 4096


def run(words: Sequence[str], progress: Progress | None = None) -> None:
    """Run it to its end. Raises NotAllowed where it is missing, else what it complains of."""
    program = shutil.which(_PROGRAM, path="/usr/bin:/bin:/usr/local/bin")
    if program is None:
        raise NotAllowed("discs are made by xorriso, which is not installed; install that package")
    # No start files: they could hold commands of the user's own.
    command = [program, "-no_rc", "-pacifier", "interval=0.5", *words]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    ) as child:
        complaints: list[str] = []
        assert child.stderr is not None
        try:
            while line := child.stderr.readline(_LONGEST_LINE):
                done = _progress(line)
                if done is not None and progress is not None:
                    progress(done)
                complaint = _COMPLAINT.search(line)
                if complaint and len(complaints) < _MOST_COMPLAINTS:
                    complaints.append(complaint[1].strip())
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        raise _said(complaints, child.returncode)
    if progress is not None:
        progress(1.0)


def extract(image: str, folder: str) -> None:
    """Copy the files of an image, or of the disc in a drive, into a folder that is made.

    Names are those of ISO 9660 or Joliet: Rock Ridge, with its links and modes, is not looked at.
    Raises NotMountable, NotAllowed, MediumGone.
    """
    if not optical.look_into(image).has_data:
        raise NotMountable(f"there are no files on {image}")
    source = f"stdio:{image}" if Path(image).is_file() else image
    try:
        run(["-osirrox", "on", "-read_fs", "norock", "-indev", source, "-extract", "/", folder])
    except NotWritten as error:
        raise NotMountable(f"{image} cannot be read: {error}") from error
    for path in (Path(folder), *Path(folder).rglob("*")):
        # It makes folders that cannot be written to, nor removed by their owner.
        path.chmod(0o700 if path.is_dir() else 0o400)


def _progress(line: str) -> float | None:
    percent = _PERCENT.search(line)
    if percent:
        return min(1.0, float(percent[1]) / 100)
    part = _PART.search(line)
    return min(1.0, int(part[1]) / max(1, int(part[2]))) if part else None


def _said(complaints: Sequence[str], status: int) -> MediaError:
    text = "; ".join(complaints)
    if "No space left" in text or "not enough space" in text or "exceeds" in text:
        return MediumFull(f"it does not fit: {complaints[0]}")
    if "Permission denied" in text:
        return NotAllowed(f"xorriso may not do this: {text}")
    if "busy" in text:
        return MediumBusy(f"the drive is in use: {text}")
    if "No such file" in text or "not a recognizable" in text:
        return MediumGone(f"xorriso does not find it: {text}")
    return NotWritten(text or f"xorriso ended with status {status} and did not say why")
