"""What the node and the workers of an export tell each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent.configuration.configuration import Configuration
from agent.configuration.mail import Mail
from agent.errors import StorageError

if TYPE_CHECKING:
    from agent.configuration.deidentification import Deidentify

FOLDER, IMAGE, DISC, ZIP = "folder", "image", "disc", "zip"
MESSAGE, MAIL = "message", "mail"
"""Kinds of targets: a folder, be it of a medium; an image of a disc; a disc in a drive; a ZIP file;
a mail in a file; a mail that is sent."""
MEDIA = (FOLDER, IMAGE, DISC)
"""Those that are media, or images of them."""
FILES = (IMAGE, ZIP, MESSAGE)
"""Those that are a file for each volume."""


class Selection(NamedTuple):
    """Which studies: all that meet every condition that is not empty. Dates are YYYYMMDD; `query`
    has keywords of study and patient with what they are to match (PS3.4 C.2.2.2)."""

    studies: tuple[str, ...] = ()
    patient_id: str = ""
    date_from: str = ""
    date_to: str = ""
    query: tuple[tuple[str, str], ...] = ()


class Target(NamedTuple):
    """Where to. `path` is the folder, the file, or the device of the drive, or "mailto:" with
    addresses; `update` adds to the file-set that is there. `volume_size` in bytes, 0: what there is
    room for. `pages` for a web browser are beside the file-set, `icons` in its directory."""

    kind: str
    path: str
    update: bool = False
    volume_size: int = 0
    pages: bool = False
    icons: bool = False


class Unit(NamedTuple):
    """A study, or some of its series, that go onto one volume; no series: all of them."""

    study: str
    series: tuple[str, ...] = ()


class Volume(NamedTuple):
    """One file-set of an export; `size` in bytes, as it is reckoned beforehand."""

    place: str
    units: tuple[Unit, ...]
    objects: int
    size: int


class Plan(NamedTuple):
    """What an export will do. `last_instance` is the number in the archive of the last object that
    was there; what comes later is no part of it. `mount` is where the medium was mounted. `counts`
    are the objects of each study."""

    profile: str
    studies: tuple[str, ...]
    counts: tuple[int, ...]
    patients: tuple[tuple[str, str], ...]
    volumes: tuple[Volume, ...]
    last_instance: int
    mount: str


class Maker(NamedTuple):
    """Who makes media, for the pages that go with them; texts for people."""

    institution: str = ""
    contact: str = ""
    disclaimer: str = ""

    @classmethod
    def of(cls, configuration: Configuration) -> Maker:
        """As the configuration says."""
        said = configuration.media_pages
        return cls(said.institution, said.contact, said.disclaimer)


class VolumeSettings(NamedTuple):
    """What the worker of a volume must know; paths are whole. `scratch` is a folder of our own.
    `key` is the same for this volume of this export, and for no other, even if all else is lost.
    `clock` is when the export was begun, in seconds since 1970; `deidentify` is how objects are
    de-identified on their way."""

    key: str
    number: int
    file_set_id: str
    archive: str
    scratch: str
    profile: str
    target: Target
    mount: str
    volume: Volume
    last_instance: int
    implementation_class_uid: str
    implementation_version_name: str
    maker: Maker = Maker()
    mail: Mail = Mail()
    clock: float = 0.0
    deidentify: Deidentify | None = None


COPIED, CONVERTED, THERE, LEFT_OUT = "copied", "converted", "there", "left out"
"""What became of an object: `THERE`, it was in the file-set that is added to."""
COPYING, VERIFYING, IMAGING, BURNING = "copying", "verifying", "making the image", "burning"
PACKING, SENDING = "packing", "sending"


class Step(NamedTuple):
    """What the worker has done of a `stage`; when it copies, the `outcome` of an object."""

    stage: str
    outcome: str = ""


class Tally(NamedTuple):
    """What became of the objects of a volume. `failures` are SOP Instance UIDs, with reasons, of
    the first of those `left_out`; `size` is that of the files that were written, in bytes; `said`
    is what a mail server had to say."""

    copied: int = 0
    converted: int = 0
    there: int = 0
    left_out: int = 0
    size: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    said: str = ""


class ExportFailed(StorageError):
    """The export is over: it would fail again."""


class NotAsWritten(ExportFailed):
    """What was read back is not what was written."""


class NoRoom(ExportFailed):
    """The target is full."""
