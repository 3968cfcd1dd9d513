"""Secure use and signatures: lines CD-49 and CD-50, with DCMTK as the other maker and as the judge.

CD-48 and iConnect's 43 and 44 are where TLS is: tests/node/test_tls.py, tests/network.
"""

from __future__ import annotations

import re
from pathlib import Path

import pydicom
import pytest

from agent.security.signature_profiles import PROFILES
from agent.security.signature_terms import MAC_ALGORITHMS, SOUND_MAC_ALGORITHMS, Verdict
from tests.node.running import NodeProcess
from tests.peers.certificates import Certificates, make_certificates
from tests.peers.dcmtk import dcmdump, run_dcmtk, storescu
from tests.peers.process import wait_until
from tests.security.signing import (
    CT,
    DCMSIGN_MAC,
    REPORT,
    Signers,
    make_signers,
    signed_by_us,
    trust,
    verified,
)

pytestmark = pytest.mark.peer

_STATUS = re.compile(r"\(0100,0410\) CS \[(\w+)\]")
_UID = re.compile(r"\(0008,0018\) UI \[([0-9.]+)\]")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return make_signers(tmp_path_factory.mktemp("signers"))


# CD-49.


def _said(pattern: re.Pattern[str], file: Path) -> str:
    found = pattern.search(dcmdump(file))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "plain"])
def test_cd_49_a_status_is_kept_over_tls_and_lost_over_a_plain_connection(
    secure: bool, tmp_path: Path, certificates: Certificates
) -> None:
    """On receipt; sending is in tests/workflow/test_instance_status.py and in test_originals."""
    own = certificates.server
    tls = (
        f'[entity.tls]\ncertificate = "{own.certificate}"\nprivate_key = "{own.key}"\n'
        f'trust = ["{certificates.authority}"]\n'
    )
    more = (
        f"{tls if secure else ''}[secure_use]\nenabled = true\n"
        '[[peer]]\nname = "LIKE"\nsecure_use = true\n'
    )
    sent = {}
    for number, status in enumerate(("AO", "AC", "NS")):
        made = pydicom.dcmread(CT)
        made.SOPInstanceStatus = status
        made.SOPAuthorizationDateTime = "20260101120000"
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        made.save_as(tmp_path / status)
        sent[str(made.SOPInstanceUID)] = status
    options = certificates.dcmtk_options(certificates.client) if secure else []
    with NodeProcess(tmp_path / "node", more) as node:
        for status in sent.values():
            words = ["-aet", "LIKE", *options]
            storescu(node.port, tmp_path / status, options=words, called="GANTRY").check()
        wait_until(lambda: len(node.objects()) == len(sent), "all are kept")
        kept = {_said(_UID, each): _said(_STATUS, each) for each in node.objects()}
    assert kept == (sent if secure else dict.fromkeys(sent, "NS"))


# CD-50.


def _verified_report(folder: Path) -> Path:
    """The structured report profile is for reports that somebody verified (PS3.15 C.4)."""
    report, observer = pydicom.dcmread(REPORT), pydicom.Dataset()
    observer.VerifyingObserverName, observer.VerifyingOrganization = "Dr^Who", "Clinic"
    observer.VerificationDateTime = "20260101120000"
    report.VerificationFlag = "VERIFIED"
    report.VerifyingObserverSequence = [observer]
    report.save_as(folder / "report.dcm")
    return folder / "report.dcm"


@pytest.mark.parametrize("profile", ["base", "creator", "structured-report"])
@pytest.mark.parametrize("mac", MAC_ALGORITHMS)
def test_cd_50_signatures_of_each_mac_and_profile_go_both_ways(
    mac: str, profile: str, signers: Signers, tmp_path: Path
) -> None:
    """All six are read; weak ones are never made."""
    is_report = profile == "structured-report"
    source = _verified_report(tmp_path) if is_report else CT
    theirs, ours = tmp_path / "theirs.dcm", tmp_path / "ours.dcm"
    option = {"base": "+pb", "creator": "+pc", "structured-report": "+pr"}[profile]
    own = signers.signer
    run_dcmtk(
        "dcmsign", "+s", own.key, own.certificate, DCMSIGN_MAC[mac], option, source, theirs
    ).check()
    (found,) = verified(theirs, trust(signers.root))
    assert (found.verdict, found.reason, found.mac_algorithm) == (Verdict.VALID, "", mac)
    if mac not in SOUND_MAC_ALGORITHMS:
        return
    purpose = {"purpose": 5} if is_report else {}
    signed_by_us(source, ours, own, profile=PROFILES[profile], mac_algorithm=mac, **purpose)
    required = {"base": "+rg", "creator": "+rc", "structured-report": "+rs"}[profile]
    judged = ("--verify", "+rg", required, "+cf", signers.root.certificate)
    assert "0 corrupted" in run_dcmtk("dcmsign", "-v", *judged, ours).check().output
    # A changed pixel, or a changed word of a report, fails for both.
    content = bytearray(ours.read_bytes())
    place = content.index(b"TEXT") if is_report else content.index(b"\xe0\x7f\x10\x00OW") + 1000
    content[place] ^= 1
    ours.write_bytes(content)
    assert run_dcmtk("dcmsign", *judged, ours).returncode != 0
    (found,) = verified(ours, trust(signers.root))
    assert found.verdict is Verdict.INVALID


def test_cd_50_an_incomplete_or_expired_chain_is_untrustworthy_and_not_invalid(
    signers: Signers, tmp_path: Path
) -> None:
    for name, by in (("incomplete", signers.below), ("expired", signers.expired)):
        made = tmp_path / f"{name}.dcm"
        run_dcmtk("dcmsign", "+s", by.key, by.certificate, "+m2", CT, made).check()
        (found,) = verified(made, trust(signers.root))
        assert found.verdict is Verdict.UNTRUSTWORTHY, name
