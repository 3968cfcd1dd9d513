"""Data sets through de-identification and back: made and read by pydicom."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from agent.dataset.byte_source import FileBytes, MemoryBytes, decoded
from agent.dataset.conversion import rewrite
from agent.dataset.file_meta import encode_file_meta, read_file_meta
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.security.confidentiality_actions import ConfidentialityProfile, options_of
from agent.security.deidentification import Deidentification
from agent.security.pseudonyms import Pseudonyms

KEY = b"a key for tests, and no other use"
PSEUDONYMS = Pseudonyms(KEY)


def encoded(data_set: Dataset, syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """The bytes of a data set, as pydicom writes it."""
    uid = UID(syntax)
    file = DicomBytesIO()
    file.is_little_endian = uid.is_little_endian
    file.is_implicit_VR = uid.is_implicit_VR
    write_dataset(file, data_set)
    return file.getvalue()


def read(data: bytes, syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> Dataset:
    """The data set in these bytes, as pydicom reads it."""
    meta = encode_file_meta(
        sop_class_uid="1.2",
        sop_instance_uid="1.2",
        transfer_syntax_uid=syntax,
        implementation_class_uid="1.2",
    )
    return dcmread(io.BytesIO(meta + data))


def deidentified(
    data_set: Dataset,
    *options: str,
    syntax: str = EXPLICIT_VR_LITTLE_ENDIAN,
    replacements: Mapping[int, tuple[str, bytes]] | None = None,
) -> Dataset:
    """The data set under the profile and some options."""
    return read(
        bytes_of(encoded(data_set, syntax), *options, syntax=syntax, replacements=replacements),
        syntax,
    )


def bytes_of(
    data: bytes,
    *options: str,
    syntax: str = EXPLICIT_VR_LITTLE_ENDIAN,
    replacements: Mapping[int, tuple[str, bytes]] | None = None,
    pseudonyms: Pseudonyms = PSEUDONYMS,
) -> bytes:
    """The same for encoded data sets."""
    made = Deidentification(
        MemoryBytes(data),
        encoding_of(syntax),
        ConfidentialityProfile(options_of(options)),
        pseudonyms,
        replacements=replacements,
    )
    out = io.BytesIO()
    rewrite(MemoryBytes(data), syntax, syntax, out.write, through=made.through)
    return out.getvalue()


def of_file(path: Path, *options: str) -> tuple[bytes, str]:
    """The data set of a file after de-identification, and its transfer syntax."""
    with path.open("rb") as file:
        meta = read_file_meta(file.fileno())
        source = FileBytes(file.fileno(), meta.data_set_offset)
        made = Deidentification(
            decoded(source, meta.encoding),
            meta.encoding._replace(deflated=False),
            ConfidentialityProfile(options_of(options)),
            PSEUDONYMS,
        )
        out = io.BytesIO()
        rewrite(source, meta.encoding_uid, meta.encoding_uid, out.write, through=made.through)
        return out.getvalue(), meta.encoding_uid
