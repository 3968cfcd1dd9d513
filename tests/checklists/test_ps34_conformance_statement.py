"""PS3.4 B.4.3: what the conformance statement says of storage, read against the running node."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.checklists.far_archive import (
    COMMON_EXTENDED,
    EXTENDED,
    FarArchive,
    extended_items_of,
    user_items,
)
from tests.checklists.made import CT, EXPLICIT, made, store, store_all
from tests.checklists.test_ps34_verification_and_negotiation import (
    PRIVATE,
    STORAGE_SERVICE_CLASS,
    announced,
    extended,
)
from tests.cli_of import gantry
from tests.node.running import ENVIRONMENT, NodeProcess, peer_table
from tests.peers.raw_pdu import (
    c_store_request,
    context_results,
    proposed_context,
    status_of,
    user_information,
)
from tests.peers.raw_peer import RawPeer

SCP, SCU = "### Storage as SCP", "### Storage as SCU"
OWN_STATUSES = {"disk_full": "A7C1", "mismatch": "A9C2", "unparsable": "C0C3"}


def stated(profile: str, **keys: object) -> dict[str, dict[str, list[str]]]:
    """Section -> first cell of a row -> the other cells; keys are those of the entity GANTRY."""
    words = [sys.executable, "-m", "agent.cli.main", "conformance", profile]
    for name, value in keys.items():
        words += ["--set", f"entity.GANTRY.{name.replace('__', '.')}={value}"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    sections: dict[str, dict[str, list[str]]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("#"):
            rows = sections.setdefault(line.split(" (")[0], {})
        elif line.startswith("| "):
            first, *others = [cell.strip() for cell in line.strip("|").split("|")]
            rows[first] = others
    return sections


def sent(peer: RawPeer, uid: str, data: bytes) -> int:
    peer.send_message(1, c_store_request(CT, uid), data)
    return status_of(peer.receive_message().command)


def test_ps34_150_each_failure_that_the_node_answers_is_stated_with_meaning_and_recovery(
    tmp_path: Path,
) -> None:
    statement = stated("gateway", **{f"status__{name}": v for name, v in OWN_STATUSES.items()})[SCP]
    table = "".join(f'{name} = "{value}"\n' for name, value in OWN_STATUSES.items())
    more = f'[entity.status]\n{table}[[archive]]\nname = "main"\nquota = "1 MiB"\n'
    with NodeProcess(tmp_path / "node", more) as node, RawPeer.connect(node.port) as peer:
        peer.associate(proposed_context(1, CT, EXPLICIT))
        uid, data = made(1)
        answers = {"mismatch": sent(peer, "1.2.3", data), "unparsable": sent(peer, uid, data[:60])}
        for number in range(8):
            answers["disk_full"] = store(peer, number, size=300_000)
            if answers["disk_full"]:
                break
        peer.release()
    for name, status in answers.items():
        assert f"{status:04X}" == OWN_STATUSES[name]
        meaning, recovery = statement[f"{status:04X}H"]
        assert meaning and recovery
    assert "full" in statement["A7C1H"][0]
    assert "later" in statement["A7C1H"][1]
    assert "understood" in statement["C0C3H"][0]
    assert "SOP class" in statement["A9C2H"][0]


@pytest.mark.parametrize(
    ("keys", "extended_item", "unknown_is_taken"),
    [
        ({}, "020003000000", True),
        ({"storage__coercion": 1, "storage__signature_level": 1}, "020001000100", True),
        ({"storage__coercion": 1}, "020001000100", True),
        ({"storage__unknown_sop_classes": '"refuse"'}, "020003000000", False),
        ({"storage__level": 1, "storage__signature_level": 0}, "010000000000", False),
        ({"extended_negotiation": "false"}, None, True),
    ],
)
def test_ps34_150_level_signatures_coercion_and_further_classes_are_as_negotiated(
    tmp_path: Path, keys: dict[str, object], extended_item: str | None, unknown_is_taken: bool
) -> None:
    statement = stated("gateway", **{k: str(v).strip('"') for k, v in keys.items()})[SCP]
    storage = [f"{k[9:]} = {v}\n" for k, v in keys.items() if k.startswith("storage__")]
    head = "extended_negotiation = false\n" if "extended_negotiation" in keys else ""
    node = NodeProcess(tmp_path / "node", f"[entity.storage]\n{''.join(storage)}")
    written = node.configuration.read_text()
    node.configuration.write_text(written.replace("[entity.accept]", head + "[entity.accept]"))
    with node, RawPeer.connect(node.port) as peer:
        accept = peer.associate(
            proposed_context(1, CT, EXPLICIT),
            proposed_context(3, PRIVATE, EXPLICIT),
            user=user_information(
                extended(CT, bytes.fromhex("030000000200")),
                announced(PRIVATE, STORAGE_SERVICE_CLASS),
            ),
        )
        peer.release()
    items = extended_items_of(accept)
    assert statement["Extended Negotiation"] == ["supported" if extended_item else "not supported"]
    if extended_item is None:
        assert items == []
    else:
        ((_, information),) = items
        assert information.hex() == extended_item
        assert statement["Level of Storage Support"] == [str(information[0])]
        assert statement["Level of Digital Signature Support"] == [str(information[2])]
        (coercion,) = statement["Coercion of attributes (Table B.4-1)"]
        assert (coercion != "none") == bool(information[4])
        assert ("B000H" in statement) == bool(information[4])
    assert (context_results(accept)[3][0] == 0) == unknown_is_taken
    (unknown,) = statement["SOP classes not listed"]
    assert unknown.startswith("accepted") == unknown_is_taken


def test_ps34_150_whether_extended_negotiation_is_used_as_scu_is_stated(tmp_path: Path) -> None:
    statement = stated("gateway", extended_negotiation="false")[SCU]
    assert statement["Extended Negotiation"] == ["not supported"]
    with FarArchive() as far:
        node = NodeProcess(tmp_path / "node", peer_table("FAR", far.port))
        written = node.configuration.read_text()
        node.configuration.write_text(
            written.replace("[entity.accept]", "extended_negotiation = false\n[entity.accept]")
        )
        with node:
            assert store_all(node.port, (1, CT)) == [0]
            node.wait_until_delivered("FAR")
        assert far.stored
        for request in far.requests:
            assert not {EXTENDED, COMMON_EXTENDED} & {kind for kind, _ in user_items(request)}


def test_ps34_150_all_that_b_4_3_wants_of_an_scp_and_an_scu_is_stated() -> None:
    statement = stated("gateway")
    scp, scu = statement[SCP], statement[SCU]
    for item in (
        "Level of Storage Support",
        "Level of Digital Signature Support",
        "Optional attributes discarded",
        "SOP classes not listed",
        "Coercion of attributes (Table B.4-1)",
        "Lossy Image Compression (0028,2110)",
        "Access to a stored instance",
        "0000H",
    ):
        assert scp[item][0], item
    assert "delivered" in scp["Duration of storage"][0]
    assert scp["B000H, B006H, B007H"][0] == "not answered"
    for item in (
        "Success (0000)",
        "Warning (Bxxx)",
        "Refused (A7xx, 0110, 0213)",
        "Error (A9xx, Cxxx, others)",
        "Extended Negotiation",
        "Optional elements, functional groups",
        "Referenced pixel data (JPIP)",
    ):
        assert scu[item][0], item


def test_ps34_150_a_role_that_is_not_played_is_not_claimed() -> None:
    sections = stated("capture-station")
    assert SCU in sections
    assert SCP not in sections


def test_what_annexes_f_j_k_and_r_want_stated_is_stated() -> None:
    sections = stated("cdac-sdk")
    worklist = sections["### Modality Worklist as SCP"]
    assert {"Matching keys", "Types of matching", "Return keys", "Priority"} <= worklist.keys()
    steps = sections["### Modality Performed Procedure Step as SCP"]
    assert {"N-CREATE", "N-SET", "IN PROGRESS", "Attributes coerced", "Kept"} <= steps.keys()
    assert "PatientID" in steps["N-SET"][0]
    assert steps["Kept"] == ["30 d after its last change"]
    commitment = sections["### Storage Commitment Push Model as SCP"]
    wanted = {"N-ACTION", "Persistence", "Retrieval", "N-EVENT-REPORT", "Retrieve AE Title"}
    assert wanted <= commitment.keys()
    assert "N-CREATE" in sections["### Instance Availability Notification as SCP"]


def test_compression_is_stated_as_it_is_configured(tmp_path: Path) -> None:
    configuration = tmp_path / "gantry.toml"
    configuration.write_text(
        'profile = "gateway"\n[[peer]]\nname = "FAR"\naddresses = ["127.0.0.1:104"]\n'
        'transfer_syntaxes = ["rle"]\n[[compress]]\nname = "all"\nto = ["rle"]\n'
    )
    done = gantry("conformance", "gateway", "--config", configuration)
    assert done.returncode == 0, done.output
    assert "| Compression on receipt | by rule, without loss, into RLE Lossless |" in done.output
    assert "of images also RLE Lossless |" in done.output
    assert "| Lossy compression | none of its own |" in done.output


def test_what_is_retrieved_as_scu_is_stated_as_it_is_configured(tmp_path: Path) -> None:
    more = tmp_path / "gantry.toml"
    more.write_text(
        '[[peer]]\nname = "PACS"\naddresses = ["192.0.2.1:104"]\n'
        'services = ["query", "get", "move"]\nfetch = {by = "move", references = false}\n'
        '[[peer]]\nname = "OLD"\naddresses = ["192.0.2.2:104"]\nservices = ["get"]\n'
        "quirks = {single_uids = true}\n"
        '[[prefetch]]\nname = "priors"\npeer = ["PACS"]\nbody_parts = ["HEAD"]\nmost = 4\n'
        '[[precache]]\nname = "nightly"\npeer = ["PACS"]\nskip = ["TEST*"]\ndays_before = 2\n'
        '[[precache]]\nname = "never"\npeer = ["PACS"]\nenabled = false\n'
    )
    said = gantry("conformance", "gateway", "--config", more).check().output
    section = said.partition("### Retrieval as SCU")[2].partition("\n## ")[0]
    assert "| PACS | C-MOVE | C-FIND at SERIES and IMAGE | no | 120 s" in section
    assert "| OLD | C-GET | no, one UID in each request | yes | 120 s" in section
    assert "### Prior studies, rule priors" in section and "| the latest 4 |" in section
    assert "| HEAD: one C-FIND at SERIES for each study |" in section
    assert "### Studies of some days, rule nightly" in section and "| TEST* |" in section
    assert "from 2 days before today" in section and "rule never" not in section
    for status in ("0000H", "B000H", "A801H", "FE00H"):
        assert f"| {status}" in section
    assert "Retrieval as SCU" not in gantry("conformance", "gateway").check().output
