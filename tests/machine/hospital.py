"""The hospital on the other end of the box's network card: worklist, archive, and who certifies.

All are programs of DCMTK on the host, and certificates of an authority of the test.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509

from agent.dataset.attributes import Attributes
from tests.machine.device import HOST
from tests.machine.file_set_states import digest_of_data_set
from tests.node.test_worklist import wl_file
from tests.peers.dcmtk import DcmtkStoreScp, DcmtkWorklistScp
from tests.peers.process import wait_until
from tests.peers.tls_authority import TlsAuthority

STUDY = "1.2.826.0.1.3680043.9.6.1001"


class Hospital:
    """A context manager; all of it is gone when it ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.authority = TlsAuthority(folder / "authority", "hospital")
        self.modality = self.authority.make("modality")
        ours = self.authority.make("archive", names=(HOST,))
        self.archive = DcmtkStoreScp(
            folder / "archive",
            *("--fork", "+tls", str(ours.key), str(ours.certificate)),
            *("--require-peer-cert", "+cf", str(self.authority.file)),
            ae_title="ARCHIVE",
        )
        self.old_archive = DcmtkStoreScp(folder / "old", "--fork", ae_title="OLD")
        """One that has no TLS."""
        self.worklist = DcmtkWorklistScp(folder / "ris", ae_title="RIS")

    def __enter__(self) -> Hospital:
        for each in (self.archive, self.old_archive, self.worklist):
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.archive, self.old_archive, self.worklist):
            each.kill()

    def certify(self, request: str) -> str:
        """The certificate (PEM) that was asked for."""
        return self.authority.sign(x509.load_pem_x509_csr(request.encode())).decode()

    def order(self, accession: str, date: str) -> None:
        """An examination for this day in the worklist."""
        step = {
            "Modality": "US",
            "ScheduledStationAETitle": "US1",
            "ScheduledProcedureStepStartDate": date,
            "ScheduledProcedureStepStartTime": "080000",
            "ScheduledProcedureStepDescription": "Abdomen",
            "ScheduledProcedureStepID": "SPS1001",
        }
        entry: dict[str, Any] = {
            "AccessionNumber": accession,
            "PatientName": "Doe^Jane",
            "PatientID": "4711",
            "PatientBirthDate": "19700401",
            "PatientSex": "F",
            "StudyInstanceUID": STUDY,
            "RequestedProcedureID": "RP1001",
            "RequestedProcedureDescription": "Ultrasound of the abdomen",
            "ScheduledProcedureStepSequence": [step],
        }
        wl_file(self.worklist.entries / f"{accession}.wl", Attributes.of(entry))

    def stored(self) -> dict[str, str]:
        """SOP Instance UIDs in the archive, with the digests of their data sets."""
        found = {}
        for path in self.archive.received():
            found[path.name.partition(".")[2]] = digest_of_data_set(path)
        return found

    def wait_for(self, wanted: Mapping[str, str], *, seconds: float) -> None:
        """Until all of these have arrived, byte for byte."""

        def is_there() -> bool:
            names = {path.name.partition(".")[2] for path in self.archive.received()}
            if not names >= set(wanted):
                return False
            # The last may be written to still.
            stored = self.stored()
            return all(stored[uid] == digest for uid, digest in wanted.items())

        wait_until(is_there, f"{len(wanted)} objects in the archive", seconds=seconds, every=1.0)
