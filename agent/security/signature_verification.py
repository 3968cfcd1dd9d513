"""Verification of the digital signatures of an object (PS3.15 C, PS3.3 C.12.1.1.3).

One walk finds them; one pass over the data set, two where byte orders differ, makes all MACs. A
signature is right when its MAC is that of the data set and was signed by the key of its
certificate; it is trusted when somebody whom we trust vouches for the certificate. What is right
and not trusted is untrustworthy, not invalid.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource
from agent.dataset.transfer_syntaxes import TransferSyntax, encoding_of
from agent.errors import GantryError
from agent.quoting import Sentence, quoted
from agent.security.certificate_path import CertificatePath
from agent.security.credentials import certificates, revocation_lists
from agent.security.signature_form import Mac, SignatureForm, compute_macs, form_for
from agent.security.signature_keys import is_made_by, short_key, unpadded
from agent.security.signature_place import described
from agent.security.signature_reading import StoredSignature, stored_signatures
from agent.security.signature_terms import (
    CERTIFICATE_OF_SIGNER,
    CERTIFICATE_TYPE,
    CERTIFIED_TIMESTAMP,
    CERTIFIED_TIMESTAMP_TYPE,
    CMS_TSP,
    MAC_ALGORITHMS,
    SIGNATURE,
    X509,
    Verdict,
)
from agent.security.signature_timestamp import checked

_WORST_FIRST = (Verdict.INVALID, Verdict.UNKNOWN, Verdict.UNTRUSTWORTHY, Verdict.VALID)


@dataclass(frozen=True, slots=True)
class Trust:
    """In whom we trust: certificates of authorities or signers, and what may stand between.

    With `revocations`, each authority of a path must have a current list there.
    """

    anchors: Sequence[Any] = ()
    others: Sequence[Any] = ()
    revocations: Sequence[Any] = ()

    @classmethod
    def of_files(
        cls, anchors: Iterable[str], others: Iterable[str] = (), revocations: Iterable[str] = ()
    ) -> Trust:
        """From files and folders. Raises ConfigurationError where one cannot be read."""
        return cls(
            [found for each in anchors for found in certificates(each)],
            [found for each in others for found in certificates(each)],
            [found for each in revocations for found in revocation_lists(each)],
        )


@dataclass(frozen=True, slots=True)
class Verified:
    """What is known of one signature. `elements` is how many attributes it names, `stamped` the
    time of its certified time stamp, "" where it has none that is trusted."""

    uid: str
    location: str
    verdict: Verdict
    reason: str
    signer: str
    date_time: str
    mac_algorithm: str
    purpose: str
    elements: int
    covers_pixel_data: bool
    stamped: str
    remarks: tuple[str, ...]


def worst(verified: Iterable[Verified]) -> Verdict | None:
    """The worst verdict, None where there is no signature."""
    found = {each.verdict for each in verified}
    return next((each for each in _WORST_FIRST if each in found), None)


def verify(
    source: ByteSource,
    syntax_uid: str,
    trust: Trust,
    moment: datetime.datetime | None = None,
) -> list[Verified]:
    """Verify all signatures of a data set, at every level, as of a `moment` (None: now).

    Of a signature with a trusted time stamp, the certificate must have been good at that time.
    Raises PeerError where the data set is damaged. Memory: a few hundred KiB and the signatures.
    """
    signatures = [_Signature(each, syntax_uid) for each in stored_signatures(source, syntax_uid)]
    _make_macs(source, syntax_uid, signatures)
    return [each.verified(trust, moment) for each in signatures]


@dataclass(slots=True)
class _Fault(Exception):
    """Why a signature is not valid."""

    verdict: Verdict
    reason: str

    def __post_init__(self) -> None:
        self.reason = Sentence(self.reason)


@dataclass(slots=True)
class _Signature:
    """One signature on its way to a verdict."""

    stored: StoredSignature
    syntax_uid: str
    form: TransferSyntax | None = None
    mac: Mac | None = None
    fault: _Fault | None = None
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            self.form, self.mac = self._prepared()
        except _Fault as fault:
            self.fault = fault

    def _prepared(self) -> tuple[TransferSyntax, Mac]:
        stored = self.stored
        if stored.parameters is None:
            raise _Fault(Verdict.INVALID, "it has no MAC parameters")
        if not stored.elements:
            raise _Fault(Verdict.INVALID, "it names no data element that it is over")
        algorithm = stored.mac_algorithm
        if algorithm not in MAC_ALGORITHMS:
            raise _Fault(
                Verdict.UNKNOWN, f"the MAC algorithm {quoted(repr(algorithm))} is not known"
            )
        form = form_for(self.syntax_uid, stored.mac_syntax)
        if form is None:
            raise _Fault(
                Verdict.UNKNOWN,
                f"a MAC in the transfer syntax {quoted(repr(stored.mac_syntax))} is not known",
            )
        self._check_pixel_data()
        try:
            mac = Mac(stored.location, stored.elements, algorithm, stored.item)
        except ValueError as error:
            raise _Fault(
                Verdict.UNKNOWN, f"this machine cannot compute {quoted(algorithm)}"
            ) from error
        return form, mac

    def _check_pixel_data(self) -> None:
        """Pixel data that were compressed or decompressed since are not those that were signed."""
        if not self._covers_pixel_data:
            return
        then, now = encoding_of(self.stored.mac_syntax), encoding_of(self.syntax_uid)
        if then.encapsulated != now.encapsulated or (then.encapsulated and then.uid != now.uid):
            raise _Fault(
                Verdict.UNKNOWN,
                f"it is over pixel data in {then.name}, and they are in {now.name} now",
            )

    @property
    def _covers_pixel_data(self) -> bool:
        return tags.PIXEL_DATA in self.stored.elements

    def verified(self, trust: Trust, now: datetime.datetime | None) -> Verified:
        stored = self.stored
        signer = stamped = ""
        verdict, reason = Verdict.VALID, ""
        try:
            if self.fault is not None:
                raise self.fault
            certificate = self._certificate()
            signer = certificate.subject.rfc4514_string()
            self._check_signature(certificate)
            moment = self._stamped(trust)
            stamped = moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment is not None else ""
            refusal = _refusal(certificate, trust, moment or now)
            if refusal:
                raise _Fault(Verdict.UNTRUSTWORTHY, f"{quoted(refusal)}")
        except _Fault as fault:
            verdict, reason = fault.verdict, fault.reason
        return Verified(
            uid=stored.uid,
            location=described(stored.location),
            verdict=verdict,
            reason=reason,
            signer=signer,
            date_time=stored.date_time,
            mac_algorithm=stored.mac_algorithm,
            purpose=stored.fields.purpose,
            elements=len(stored.elements),
            covers_pixel_data=self._covers_pixel_data,
            stamped=stamped,
            remarks=tuple(self.remarks),
        )

    def _certificate(self) -> Any:
        from cryptography.x509 import load_der_x509_certificate

        kind = self.stored.fields.text(CERTIFICATE_TYPE)
        if kind != X509:
            raise _Fault(Verdict.UNKNOWN, f"the certificate type {quoted(repr(kind))} is not known")
        encoded = self.stored.fields.values.get(CERTIFICATE_OF_SIGNER, b"")
        try:
            certificate = load_der_x509_certificate(unpadded(encoded))
            certificate.public_key(), certificate.subject.rfc4514_string()
        except Exception as error:
            # What is wrong with a certificate has exceptions of many families.
            raise _Fault(Verdict.INVALID, "its certificate cannot be read") from error
        return certificate

    def _check_signature(self, certificate: Any) -> None:
        assert self.mac is not None
        if not MAC_ALGORITHMS[self.mac.algorithm].sound:
            self.remarks.append(f"{self.mac.algorithm} is no longer safe")
        signature = self.stored.fields.values.get(SIGNATURE, b"")
        try:
            right = is_made_by(certificate.public_key(), signature, self.mac)
        except NotImplementedError as error:
            raise _Fault(Verdict.UNKNOWN, f"{quoted(error)}") from error
        if right:
            return
        if self.mac.unknown:
            raise _Fault(
                Verdict.UNKNOWN,
                f"the value representation of {quoted(self.mac.unknown)}, which it is over, is not"
                " known",
            )
        raise _Fault(Verdict.INVALID, "what was signed was changed, or it is by another key")

    def _stamped(self, trust: Trust) -> datetime.datetime | None:
        """The time of a certified time stamp that is right and trusted."""
        fields = self.stored.fields
        token = fields.values.get(CERTIFIED_TIMESTAMP, b"")
        if not token:
            return None
        kind = fields.text(CERTIFIED_TIMESTAMP_TYPE)
        if kind != CMS_TSP:
            self.remarks.append(f"its time stamp of the type {kind!r} is not known")
            return None
        try:
            stamp = checked(
                token, fields.values[SIGNATURE], trust.anchors, trust.others, trust.revocations
            )
        except GantryError as error:
            raise _Fault(Verdict.INVALID, f"{quoted(error.message)}") from error
        if stamp.refusal:
            self.remarks.append(f"its time stamp is untrustworthy: {stamp.refusal}")
            return None
        return stamp.moment


def _refusal(certificate: Any, trust: Trust, moment: datetime.datetime | None) -> str:
    """Why a certificate is not trusted at that moment; "" where it is."""
    path = CertificatePath(trust.others, trust.anchors, moment, trust.revocations)
    try:
        return path.refusal(certificate) or short_key(certificate.public_key())
    except Exception as error:
        # Parts of a certificate are parsed when they are asked for.
        raise _Fault(Verdict.INVALID, "its certificate cannot be read") from error


def _make_macs(source: ByteSource, syntax_uid: str, signatures: Sequence[_Signature]) -> None:
    """All MACs of one form in one pass."""
    by_form: dict[TransferSyntax, list[Mac]] = {}
    for each in signatures:
        if each.form is not None and each.mac is not None:
            by_form.setdefault(each.form, []).append(each.mac)
    for form, macs in by_form.items():
        compute_macs(source, syntax_uid, SignatureForm(form), form.uid, macs)
