"""Lines of MxView's checklist (MX) on syntaxes, associations and moves, with its own profile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement

from tests.checklists.far_archive import FarArchive, contexts_of, user_items
from tests.checklists.in_syntax import BIG_ENDIAN
from tests.checklists.made import CT, EXPLICIT, IMPLICIT
from tests.checklists.test_profiles import ProfileNode
from tests.cli_of import gantry
from tests.peers.dcmtk import DcmtkStoreScp, dcmdump, dcmtk_program, run_dcmtk
from tests.peers.programs import run
from tests.peers.raw_pdu import (
    asynchronous_window,
    proposed_context,
    user_information,
)
from tests.peers.raw_peer import RawPeer

pytestmark = pytest.mark.peer

VERIFICATION = "1.2.840.10008.1.1"
ECG = "1.2.840.10008.5.1.4.1.1.9.1.2"
SYNTAXES = {"implicit": IMPLICIT, "explicit": EXPLICIT, "big": BIG_ENDIAN}
_OPTIONS = {"implicit": "+ti", "explicit": "+te", "big": "+tb"}
_NAMES = {
    "implicit": "LittleEndianImplicit",
    "explicit": "LittleEndianExplicit",
    "big": "BigEndianExplicit",
}
_CLASSES = ("CTImageStorage", "SecondaryCaptureImageStorage", "GeneralECGWaveformStorage")
ROOT = "1.2.826.0.1.3680043.9.78"


class Scanner(NamedTuple):
    """A node with MxView's profile, and archives that take one syntax only, by its name."""

    node: ProfileNode
    archives: dict[str, DcmtkStoreScp]
    sent: dict[str, Path]

    @property
    def port(self) -> int:
        return self.node.ports["DS"]

    def move(self, study: str, destination: str) -> str:
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]
        done = run_dcmtk(
            *("movescu", "-v", "-S", "-aet", "VIEWER", "-aec", "DS", "-aem", destination, *keys),
            *("127.0.0.1", str(self.port)),
        )
        return done.output


def with_odd_things(found: Dataset, syntax: str, number: int) -> Dataset:
    """Private elements, one within a sequence of its own, and a date that is none."""
    study = f"{ROOT}.{list(SYNTAXES).index(syntax) + 1}"
    found.remove_private_tags()  # DCMTK knows those that are there.
    found.PatientID, found.StudyInstanceUID = "P1", study
    found.SeriesInstanceUID, found.SOPInstanceUID = f"{study}.{number}", f"{study}.{number}.1"
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    item = Dataset()
    item.private_block(0x0029, "GANTRY TEST", create=True).add_new(1, "US", [1, 2, 515])
    block = found.private_block(0x0029, "GANTRY TEST", create=True)
    block.add_new(0x10, "SQ", [item])
    block.add_new(0x11, "FD", 1.5)
    found["AcquisitionDate"] = DataElement(0x00080022, "LO", "2003.03.20")
    found["AcquisitionDate"].VR = "DA"
    return found


def three_kinds(folder: Path, syntax: str) -> dict[str, Path]:
    """16-bit and 8-bit pixels, and 16-bit waveform data, in one syntax; by SOP Instance UID."""
    made = {}
    for number, name in enumerate(("CT_small", "SC_rgb_small_odd", "waveform_ecg"), 1):
        found = dcmread(str(get_testdata_file(f"{name}.dcm")))
        if name == "waveform_ecg":
            found.SOPClassUID = ECG
        plain = folder / f"{syntax}{number}.source"
        with_odd_things(found, syntax, number).save_as(plain)
        into = folder / f"{syntax}{number}.dcm"
        run([dcmtk_program("dcmconv"), _OPTIONS[syntax], plain, into]).check()
        made[str(found.SOPInstanceUID)] = into
    return made


def taking_only(folder: Path, syntax: str) -> DcmtkStoreScp:
    """A storescp that accepts nothing but one syntax."""
    folder.mkdir()
    contexts = (*_CLASSES, "VerificationSOPClass")
    lines = ["[[TransferSyntaxes]]", "[One]", f"TransferSyntax1 = {_NAMES[syntax]}"]
    lines += ["[[PresentationContexts]]", "[All]"]
    lines += [f"PresentationContext{at} = {each}\\One" for at, each in enumerate(contexts, 1)]
    lines += ["[[Profiles]]", "[Only]", "PresentationContexts = All"]
    configuration = folder / "only.cfg"
    configuration.write_text("\n".join(lines) + "\n")
    return DcmtkStoreScp(folder, "--fork", "-xf", str(configuration), "Only", transfer_syntaxes=())


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanner]:
    folder = tmp_path_factory.mktemp("mxview")
    sent: dict[str, Path] = {}
    with ExitStack() as stack:
        archives = {
            each: stack.enter_context(taking_only(folder / each, each)) for each in SYNTAXES
        }
        peers = '[[peer]]\nname = "VIEWER"\n[[peer]]\nname = "RAWPEER"\n' + "".join(
            f'[[peer]]\nname = "{name.upper()}"\naddresses = ["127.0.0.1:{each.port}"]\n'
            for name, each in archives.items()
        )
        node = stack.enter_context(ProfileNode(folder, "mxview", ["DS", "MS", "SC"], peers))
        for each in SYNTAXES:
            made = three_kinds(folder, each)
            only = {"implicit": "-xi", "explicit": "-xe", "big": "-xb"}[each]
            run_dcmtk(
                *("storescu", only, "-aet", "VIEWER", "-aec", "DS", "127.0.0.1"),
                *(str(node.ports["DS"]), *made.values()),
            ).check()
            sent |= made
        yield Scanner(node, archives, sent)


def elements(path: Path) -> list[str]:
    """The data set as dcmdump prints it, whole values, without lengths; storescu does not send the
    padding at its end."""
    _, _, data_set = dcmdump(path, "+L").partition("# Dicom-Data-Set")
    lines = [line.rpartition("#")[0].rstrip() for line in data_set.splitlines()]
    lines = [line.partition("(Sequence with")[0].rstrip() for line in lines]
    return [line for line in lines if line.strip().startswith("(") and "(fff" not in line]


def with_bytes(lines: list[str]) -> list[str]:
    """With 8-bit pixels as OB, which may have been OW: then a pair of them is a word."""
    pixels = "(7fe0,0010) OW "
    found = []
    for line in lines:
        words = line.removeprefix(pixels).split("\\")
        if line.startswith(pixels):
            line = "(7fe0,0010) OB " + "\\".join(f"{each[2:]}\\{each[:2]}" for each in words)
        found.append(line)
    return found


@pytest.mark.parametrize("stored", SYNTAXES)
@pytest.mark.parametrize("wanted", SYNTAXES)
def test_mx_05_19_all_nine_conversions_keep_every_element(
    scanner: Scanner, tmp_path: Path, stored: str, wanted: str
) -> None:
    far = scanner.archives[wanted]
    for path in far.received():
        path.unlink()
    study = f"{ROOT}.{list(SYNTAXES).index(stored) + 1}"
    assert "Final Move Response (Success)" in scanner.move(study, wanted.upper())
    came = {path.name.partition(".")[2]: path for path in far.wait_for_files(3)}
    assert {*came} == {uid for uid in scanner.sent if uid.startswith(f"{study}.")}
    for uid, path in came.items():
        reference = tmp_path / "reference.dcm"
        words = ["-e", _OPTIONS[wanted], scanner.sent[uid], reference]
        run([dcmtk_program("dcmconv"), *words]).check()
        there, expected = elements(path), elements(reference)
        if uid.endswith(".2.1"):
            there, expected = with_bytes(there), with_bytes(expected)
        assert there == expected
        assert any("2003.03.20" in line for line in there)
        assert any("GANTRY TEST" in line for line in there)


def test_mx_19_what_is_stored_is_what_was_sent(scanner: Scanner) -> None:
    for path in scanner.node.objects():
        uid = str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        assert elements(path) == elements(scanner.sent[uid])


def test_mx_28_an_unknown_move_destination_is_told_and_nobody_is_called(scanner: Scanner) -> None:
    before = [each.received() for each in scanner.archives.values()]
    assert "MoveDestinationUnknown" in scanner.move(f"{ROOT}.1", "NOWHERE").replace(" ", "")
    assert [each.received() for each in scanner.archives.values()] == before


def test_mx_08_two_hundred_associations_are_all_served(scanner: Scanner) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(RawPeer.connect(scanner.port)) for _ in range(200)]
        for peer in peers:
            peer.associate(proposed_context(1, VERIFICATION, IMPLICIT), called="DS")
        assert [peer.echo(1) for peer in peers] == [0] * 200
        for peer in peers:
            peer.release()


def test_mx_03_07_what_we_propose_and_who_we_say_we_are(scanner: Scanner, tmp_path: Path) -> None:
    with RawPeer.connect(scanner.port) as peer:
        accept = peer.associate(
            proposed_context(1, CT, EXPLICIT),
            called="DS",
            user=user_information(asynchronous_window(8, 8)),
        )
        answered = dict(user_items(accept))
        peer.release()
    with FarArchive() as far:
        files = [str(each) for each in scanner.sent.values()]
        done = gantry("send", f"127.0.0.1:{far.port}", "--called", "FAR", *files)
        assert done.returncode == 0, done.output
        request = far.requests[0]
        proposed = {each.transfer_syntaxes for each in contexts_of(request)}
    ours = dict(user_items(request))
    metas = {
        str(dcmread(path, stop_before_pixels=True).file_meta.ImplementationClassUID).encode()
        for path in scanner.node.objects()
    }
    assert {answered[0x52], ours[0x52]} == metas
    assert 0x53 not in ours
    assert answered.get(0x53, b"\0\1\0\1") == b"\0\1\0\1"
    assert {uid for syntaxes in proposed for uid in syntaxes} == {*SYNTAXES.values()}
