"""A signature of ours in the place of those that a change of ours broke (PS3.15 A.2, rule 3; PS3.4
B.4.1.4, Signature Level 2).

It is over what was signed in those that could be verified before the change, as it is now: in
another form where only that was changed (a transfer syntax, padding), but without the attributes
that got another value. Who verifies it learns that this box found them right, and what it is.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection

from agent import observation
from agent.configuration.signatures import Signatures
from agent.dataset.byte_source import ByteSource, FileBytes
from agent.dataset.conversion import Through
from agent.dataset.file_meta import read_file_meta
from agent.dataset.tags import DIGITAL_SIGNATURES_SEQUENCE, MAC_PARAMETERS_SEQUENCE
from agent.dataset.uid import derived_uid
from agent.dataset.whole_write import write_whole
from agent.errors import LocalError, PeerError
from agent.security.credentials import KeyFile
from agent.security.signature_creation import Signing, SigningOrder, copy_through
from agent.security.signature_form import is_signable
from agent.security.signature_items import adding
from agent.security.signature_keys import FileSigner
from agent.security.signature_profiles import PROFILES
from agent.security.signature_reading import StoredSignature, elements_at, stored_signatures
from agent.security.signature_terms import MODIFICATION_SIGNATURE, Verdict
from agent.security.signature_verification import Trust, verify

_PIECE = 1 << 20


def replacement(
    before: ByteSource,
    before_syntax: str,
    after: ByteSource,
    after_syntax: str,
    changed: Collection[int],
    table: Signatures,
    at: str = "",
) -> Through | None:
    """For `rewrite`: adds to `after` a signature for those that `before` has and `after` lacks.

    `changed` are the attributes that got another value. The signature bears the time `at` (DT; "":
    now); the same change at the same time gives the same signature. None where no signature is
    gone, or none of those could be verified, or nothing of what they were over is left. Raises
    ConfigurationError where our key cannot be used. Memory: as `verify`.
    """
    try:
        gone = _verified_and_gone(before, before_syntax, after, after_syntax, table)
        wanted = frozenset(tag for each in gone for tag in each.elements).difference(changed)
        there = elements_at(after, after_syntax, ()) if wanted else {}
    except PeerError:
        # What cannot be parsed has no signature that anybody could verify.
        return None
    chosen = tuple(sorted(tag for tag in wanted if there.get(tag) and is_signable(tag)))
    if not chosen:
        return None
    order = SigningOrder(
        PROFILES["base"],
        chosen,
        mac_algorithm=table.mac,
        purpose=MODIFICATION_SIGNATURE,
        uid=derived_uid("\n".join((at, *(each.uid for each in gone))).encode()) if at else "",
        date_time=at,
    )
    signer = FileSigner(
        KeyFile(table.signing_key, table.signing_passphrase), table.signing_certificate
    )
    try:
        parameters, signature = Signing(after, after_syntax, order, signer).items()
    except LocalError as error:
        observation.warning("signature.not replaced", error=error)
        return None
    return adding((), {MAC_PARAMETERS_SEQUENCE: parameters, DIGITAL_SIGNATURES_SEQUENCE: signature})


def replace_in_file(
    before: int,
    after: int,
    changed: Collection[int],
    table: Signatures,
    at: str = "",
) -> None:
    """`replacement` for two open DICOM files; `after`, which nobody else reads yet, is written
    anew where there is a signature to be added. Errors as there, OSError where a disk fails."""
    meta, made = read_file_meta(before), read_file_meta(after)
    through = replacement(
        FileBytes(before, meta.data_set_offset),
        meta.encoding_uid,
        FileBytes(after, made.data_set_offset),
        made.encoding_uid,
        changed,
        table,
        at,
    )
    if through is None:
        return
    with tempfile.TemporaryFile(dir="/var/tmp") as file:
        copy_through(after, made, file.fileno(), through)
        os.ftruncate(after, 0)
        os.lseek(after, 0, os.SEEK_SET)
        position = 0
        while piece := os.pread(file.fileno(), _PIECE, position):
            position += len(piece)
            write_whole(after, piece)


def _verified_and_gone(
    before: ByteSource, before_syntax: str, after: ByteSource, after_syntax: str, table: Signatures
) -> list[StoredSignature]:
    """Those of the data set itself that were right and trusted, and are not there any more."""
    found = stored_signatures(before, before_syntax)
    if not found:
        return []
    kept = {each.uid for each in stored_signatures(after, after_syntax) if not each.location}
    if all(each.location or each.uid in kept for each in found):
        return []
    trust = Trust.of_files(table.trust, table.intermediates, table.revocations)
    return [
        stored
        for stored, verified in zip(found, verify(before, before_syntax, trust), strict=True)
        if not stored.location and stored.uid not in kept and verified.verdict is Verdict.VALID
    ]
