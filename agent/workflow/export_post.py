"""The mail of a volume: what is written into it, and where it waits until it was sent."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

from agent.errors import ConfigurationError
from agent.media.application_profiles import MIME, Profile
from agent.media.mail_writing import MIME_PHRASE, ZIP_PHRASE, MailHead
from agent.quoting import quoted
from agent.workflow.export_addresses import addresses_of
from agent.workflow.export_packing import envelope_for, make_mail
from agent.workflow.export_settings import MAIL, ExportFailed, Step, VolumeSettings


class Post:
    """A mail that is sent; it waits in our scratch folder."""

    def __init__(self, settings: VolumeSettings, profile: Profile) -> None:
        folder, number = Path(settings.scratch), settings.number
        self._settings = settings
        self._profile = profile
        self.message = folder / f"mail-{number}.eml"
        self.written = folder / f"written-{number}"
        """A note that the mail is whole."""
        self._memory = folder / f"sent-{number}"

    def send(self) -> str:
        """Send it; what the server said. Raises as `Sending.send` does."""
        # What talks to servers is imported for mails only.
        from agent.workflow.export_mail import Sending

        settings = self._settings
        return Sending(
            settings.mail,
            self.message,
            self._memory,
            message_id_of(settings),
            addresses_of(settings.target.path),
        ).send()

    def forget(self) -> None:
        """All of it goes. Raises OSError."""
        for path in (self.message, Path(f"{self.message}.unfinished"), self.written, self._memory):
            path.unlink(missing_ok=True)


def write_post(
    settings: VolumeSettings, profile: Profile, folder: Path, message: Path
) -> Iterator[Step]:
    """Write the mail with the file-set in `folder`.

    Raises OSError, NotAsWritten, and ExportFailed where it cannot be secured.
    """
    try:
        envelope = envelope_for(settings.target.path, settings.mail) if profile.sealed else None
        yield from make_mail(
            folder,
            message,
            Path(settings.scratch),
            _head(settings, profile),
            _text(settings, profile),
            profile,
            envelope,
        )
    except ConfigurationError as error:
        raise ExportFailed(
            f"{quoted(error.message)}", way_out=f"{quoted(error.way_out)}"
        ) from error


def message_id_of(settings: VolumeSettings) -> str:
    """The same whenever the same volume is sent, and for no other."""
    origin = f"{socket.gethostname()} {settings.archive} {settings.key}"
    domain = settings.mail.sender.rpartition("@")[2] or "gantry.invalid"
    return f"<gantry.{hashlib.sha256(origin.encode()).hexdigest()[:32]}@{domain}>"


def _head(settings: VolumeSettings, profile: Profile) -> MailHead:
    phrase = MIME_PHRASE if profile.mail == MIME else ZIP_PHRASE
    is_sent = settings.target.kind == MAIL
    return MailHead(
        settings.mail.sender or "gantry@gantry.invalid",
        addresses_of(settings.target.path) if is_sent else (),
        # Subjects are read by many: no patient is named.
        f"{phrase} {settings.file_set_id}",
        settings.clock,
        message_id_of(settings),
    )


def _text(settings: VolumeSettings, profile: Profile) -> str:
    studies = len({each.study for each in settings.volume.units})
    return (
        f"This mail has {settings.volume.objects} DICOM objects of {studies} studies,\n"
        f"as the application profile {profile.name} has them ({profile.clause}).\n"
        f"File-set: {settings.file_set_id}\n"
    )
