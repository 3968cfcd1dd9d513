"""Where everything lies in an archive's folder.

    gantry-archive.json         which archive this is (`agent.archive.identity`)
    lock                        held by the one writer
    ballast                     space kept back for the index (`agent.archive.ballast`)
    index.sqlite                the index and the jobs, with its -wal and -shm
    objects/000123/000123456.dcm    object 123456, a Part 10 file
    incoming/                   nameless files being received; hidden names where those cannot be
    strays/                     what was found among the objects and is none
    administrations.jsonl       substances that were administered (`agent.archive.administrations`)
    media-requests/             media that peers asked for (`agent.archive.media_requests`)

Objects are named by a counter of our own, never by what a peer says. A thousand share a folder, so
that the objects of one batch are made durable by one fsync, and a million need a thousand folders.
"""

from __future__ import annotations

from pathlib import Path

LOCK = "lock"
INDEX = "index.sqlite"
BALLAST = "ballast"
OBJECTS = "objects"
INCOMING = "incoming"
STRAYS = "strays"
ADMINISTRATIONS = "administrations.jsonl"
MEDIA_REQUESTS = "media-requests"

OBJECTS_IN_A_FOLDER = 1000
LARGEST_NUMBER = 10**9 - 1


def folder_name(number: int) -> str:
    """The name of the folder that holds the object of this number."""
    return f"{number // OBJECTS_IN_A_FOLDER:06d}"


def file_name(number: int) -> str:
    """The name of the object's file in its folder."""
    return f"{number:09d}.dcm"


def object_path(folder: Path, number: int) -> Path:
    """The file of an object of the archive in `folder`."""
    return folder / OBJECTS / folder_name(number) / file_name(number)


def number_of(name: str) -> int | None:
    """The number that a file name stands for; None for names that are not ours."""
    if len(name) == 13 and name.endswith(".dcm") and name[:9].isascii() and name[:9].isdigit():
        return int(name[:9])
    return None
