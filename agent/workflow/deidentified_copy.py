"""Copies of objects that do not tell whose they are (PS3.15 annex E), for commands, routes and
exports alike. Blocks, and burns the CPU: for workers and commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from agent.configuration.deidentification import Deidentify
from agent.dataset import tags
from agent.dataset.attributes_encoding import encode_value
from agent.dataset.byte_source import ByteSource, FileBytes, decoded
from agent.dataset.conversion import rewrite
from agent.dataset.file_meta import FileMeta, encode_file_meta, read_file_meta
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.dataset.whole_write import write_whole
from agent.errors import ConfigurationError, LocalError, StorageError
from agent.objects.transcoding import Transcoding
from agent.quoting import quoted
from agent.security.confidentiality_actions import ConfidentialityProfile, options_of
from agent.security.credentials import KeyFile, private_key, recipient_certificate
from agent.security.deidentification import Deidentification
from agent.security.encrypted_attributes import encrypted_attributes
from agent.security.pseudonyms import Pseudonyms, read_table
from agent.security.recipients import CertificateRecipient
from agent.security.reidentification import Reidentification
from agent.workflow.deidentified_pixels import PixelRules

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"


class Deidentifier:
    """Makes any number of copies in one way. Memory: that of `Deidentification`."""

    def __init__(self, rule: Deidentify, *, passing: bool = False) -> None:
        """`passing` without a secret: pseudonyms under a key that nobody will have again.

        Reads the secret, the table and the certificates. Raises ConfigurationError where one of
        them, or an option, cannot be used.
        """
        self._profile = ConfidentialityProfile(options_of(rule.options))
        self._pseudonyms = _pseudonyms(rule, passing)
        self._values = _values(rule)
        self._pixels = PixelRules(rule)
        self._recipients = tuple(
            CertificateRecipient(recipient_certificate(each)) for each in rule.encrypt_for
        )

    def copy(
        self, source: ByteSource, encoding_uid: str, transfer_syntax_uid: str = ""
    ) -> DeidentifiedCopy:
        """A copy of the data set in `source`.

        `encoding_uid` is how it reads, `transfer_syntax_uid` what its file says where that differs.
        Raises PeerError with status C000H where it is damaged, LocalError where it cannot be
        de-identified.
        """
        return DeidentifiedCopy(
            source,
            encoding_uid,
            transfer_syntax_uid or encoding_uid,
            self._profile,
            self._pseudonyms,
            self._values,
            self._pixels,
            self._recipients,
        )


class DeidentifiedCopy:
    """One copy on its way: what it is called, and its bytes."""

    def __init__(
        self,
        source: ByteSource,
        encoding_uid: str,
        transfer_syntax_uid: str,
        profile: ConfidentialityProfile,
        pseudonyms: Pseudonyms,
        values: Mapping[int, tuple[str, bytes]],
        pixels: PixelRules,
        recipients: Sequence[CertificateRecipient],
    ) -> None:
        syntax = encoding_of(encoding_uid)
        self._source = source
        self._encoding_uid = encoding_uid
        self._deidentification = Deidentification(
            decoded(source, syntax),
            syntax._replace(deflated=False),
            profile,
            pseudonyms,
            replacements=values,
        )
        self.sop_class_uid = self._deidentification.identity.sop_class_uid
        self.sop_instance_uid = self._deidentification.sop_instance_uid
        self.transfer_syntax_uid = transfer_syntax_uid
        """In which it is written."""
        self.remarks: tuple[str, ...] = ()
        """What a person should know of it."""
        self._transcoding: Transcoding | None = None
        change = pixels.change(source, encoding_uid, transfer_syntax_uid)
        if change is not None:
            self._transcoding = Transcoding(
                source,
                encoding_uid,
                change.transfer_syntax_uid,
                compressed_as=transfer_syntax_uid,
                alteration=change.alteration,
            )
            self.transfer_syntax_uid = change.transfer_syntax_uid
            if change.transfer_syntax_uid != transfer_syntax_uid:
                self.remarks = ("it is uncompressed now, as its pixels were cleaned",)
        if recipients:
            written = self.transfer_syntax_uid if self._transcoding else encoding_uid
            self._deidentification.keep_encrypted(
                encrypted_attributes(
                    source,
                    encoding_uid,
                    self._deidentification.protected(),
                    recipients,
                    encoding_of(written),
                )
            )

    def write(self, write: Callable[[bytes], object]) -> None:
        """Write the data set. Raises PeerError for what is damaged and what `write` raises; what
        was written then is no data set."""
        through = self._deidentification.through
        if self._transcoding is not None:
            self._transcoding.write(write, through=through)
            return
        rewrite(
            self._source,
            self._encoding_uid,
            self._encoding_uid,
            write,
            through=through,
        )


def deidentify_file(
    source: int, target: int, deidentifier: Deidentifier, implementation: tuple[str, str]
) -> tuple[str, ...]:
    """Write a copy of one open Part 10 file into another: the file meta information is ours, the
    preamble empty. What a person should know of it.

    Raises StorageError for what is no DICOM file, OSError where `target` cannot be written, and
    what `Deidentifier.copy` and its `write` raise.
    """
    meta = read_file_meta(source)
    if meta.media_storage_sop_class_uid == _MEDIA_STORAGE_DIRECTORY:
        raise StorageError(
            "A DICOMDIR is not de-identified.",
            clause="PS3.10 8.6",
            way_out="De-identify its files, and make a new one for them.",
        )
    data_set = FileBytes(source, meta.data_set_offset)
    copy = deidentifier.copy(data_set, meta.encoding_uid, meta.transfer_syntax_uid)
    write = partial(write_whole, target)
    write(_file_meta(copy, meta, implementation))
    copy.write(write)
    return copy.remarks


def reidentify_file(
    source: int, target: int, keys: Sequence[KeyFile], implementation: tuple[str, str]
) -> None:
    """Write the object of one open Part 10 file into another, with the attributes that it had
    before it was de-identified.

    Raises ConfigurationError for a key that cannot be used; StorageError where there are no such
    attributes, or none of the keys opens them.
    """
    meta = read_file_meta(source)
    again = Reidentification(
        FileBytes(source, meta.data_set_offset),
        meta.encoding_uid,
        [private_key(each) for each in keys],
    )
    write = partial(write_whole, target)
    write(
        encode_file_meta(
            sop_class_uid=meta.media_storage_sop_class_uid,
            sop_instance_uid=again.sop_instance_uid or meta.media_storage_sop_instance_uid,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            implementation_class_uid=implementation[0],
            implementation_version_name=implementation[1],
        )
    )
    again.write(write)


def _file_meta(copy: DeidentifiedCopy, meta: FileMeta, implementation: tuple[str, str]) -> bytes:
    class_uid = copy.sop_class_uid or meta.media_storage_sop_class_uid
    if not class_uid or not copy.sop_instance_uid:
        raise StorageError(
            "The object says neither what it is nor which one.",
            clause="PS3.10 7.1",
            way_out="De-identify objects that have a SOP Class UID and a SOP Instance UID.",
        )
    return encode_file_meta(
        sop_class_uid=class_uid,
        sop_instance_uid=copy.sop_instance_uid,
        transfer_syntax_uid=copy.transfer_syntax_uid,
        implementation_class_uid=implementation[0],
        implementation_version_name=implementation[1],
    )


def _pseudonyms(rule: Deidentify, passing: bool) -> Pseudonyms:
    key = rule.secret.read()
    if not key and passing:
        key = os.urandom(32)
    return Pseudonyms(key, read_table(rule.pseudonyms) if rule.pseudonyms else None)


def _values(rule: Deidentify) -> Mapping[int, tuple[str, bytes]]:
    """The values that copies get. Raises ConfigurationError for one that no attribute can have."""
    little = encoding_of(EXPLICIT_VR_LITTLE_ENDIAN)
    found = {}
    for each in rule.values:
        vr = tags.dictionary_value_representation(each.attribute)
        try:
            if vr in ("SQ", "UN") or not each.value.isascii():
                raise LocalError(f"{vr} cannot be set to {quoted(repr(each.value))} here")
            values = tuple(each.value.split("\\"))
            found[each.attribute] = (vr, encode_value(vr, values, "", little))
        except LocalError as error:
            raise ConfigurationError(
                f"{tags.format_tag(each.attribute)}: {quoted(error)}",
                value=each.value,
                way_out="Set attributes whose values are text of ASCII.",
            ) from error
    return found
