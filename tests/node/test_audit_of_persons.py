"""What persons do through the control socket is told of with the account that asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from agent.security.audit_message import AuditMessage
from agent.security.operators import CHANGE, SEE
from agent.workflow.audit_questions import NOT_TOLD, TOLD_BY_OCCASIONS, TOLD_HERE
from agent.workflow.simulated_series import make_series
from tests.cli_of import gantry
from tests.node.audit_heard import all_are_valid, heard, kept_here, wait_for
from tests.node.running import NodeProcess, folder_for_all, peer_table
from tests.node.test_operators import NOBODY, ask
from tests.peers.process import free_port, wait_until

pytestmark = pytest.mark.peer
AWAY = 'services = ["storage", "get"]\n'
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """With stored objects of one study, whose peer is away."""
    more = (
        f"{peer_table('AWAY', free_port(), AWAY)}{kept_here()}"
        '[[access.operator]]\nname = "nobody"\nusers = ["nobody"]\n'
        'questions = ["see", "retry", "drop", "hold", "pause", "resume", "delete", "re-identify",'
        ' "send-again", "reload", "export-begin", "fetch-begin"]\n'
    )
    with folder_for_all() as folder:
        node = NodeProcess(folder / "node", more)
        text = node.configuration.read_text()
        mode = '[node]\ncontrol_mode = "0666"\n'
        node.configuration.write_text(text.replace("[node]\n", mode, 1))
        with node:
            files = make_series(folder / "in", stills=2, frames=2)
            gantry("send", f"127.0.0.1:{node.port}", *files, "--called", "GANTRY").check()
            yield node


def asks(node: NodeProcess, **request: Any) -> Any:
    said = ask(node, NOBODY, **request)
    assert said["ok"], said
    return said["answer"]


def study_of(node: NodeProcess) -> str:
    return str(node.ask("studies")["items"][0]["study_instance_uid"])


def by_nobody(message: AuditMessage) -> bool:
    """Whether that account asked for it, and nobody else did."""
    asking = [each for each in message.participants if each.requestor]
    return [(each.user_id, each.alternative) for each in asking] == [("nobody", f"uid={NOBODY}")]


def test_every_question_is_told_of_or_is_known_to_tell_nothing() -> None:
    groups = (TOLD_HERE, TOLD_BY_OCCASIONS, NOT_TOLD)
    assert frozenset().union(*groups) == SEE | CHANGE
    assert sum(map(len, groups)) == len(SEE | CHANGE)


def test_a_list_of_studies_is_a_query_that_is_told_once(node: NodeProcess) -> None:
    for _ in range(3):
        asks(node, do="studies", patient_id="4711", study_date_from="20260101")
    asks(node, do="studies", patient_id="4712")
    found = [each for each in wait_for(node, "Query", number=2) if by_nobody(each)]
    assert len(found) == 2
    query = found[0].objects[0]
    assert query.identifier == STUDY_ROOT
    assert query.details == (("TransferSyntax", b"1.2.840.10008.1.2.1"),)
    assert query.query is not None
    keys: Dataset = read_dataset(DicomBytesIO(query.query), False, True)
    assert (keys.QueryRetrieveLevel, keys.PatientID) == ("STUDY", "4711")
    assert keys.StudyDate == "20260101"
    assert [each.roles[0].meaning for each in found[0].participants] == [
        "Source Role ID",
        "Destination Role ID",
    ]


def test_the_objects_of_a_study_that_are_looked_at_name_its_patient(node: NodeProcess) -> None:
    study = study_of(node)
    asks(node, do="instances", study_instance_uid=study)
    (read,) = wait_for(node, "DICOM Instances Accessed")
    assert by_nobody(read) and read.action == "R"
    patient = dcmread(node.objects()[0], stop_before_pixels=True).PatientID
    assert [each.identifier for each in read.objects] == [study, patient]
    assert sum(count for _, count in read.objects[0].sop_classes) == len(node.objects())


def test_jobs_that_are_tried_held_and_dropped_name_the_study(node: NodeProcess) -> None:
    study, patient = study_of(node), node.ask("studies")["items"][0]["patient_id"]
    job = asks(node, do="queue")["items"][0]["id"]
    before = len(heard(node, "DICOM Instances Accessed"))
    for act in ("hold", "retry", "drop"):
        asks(node, do=act, jobs=[job])
    told = wait_for(node, "DICOM Instances Accessed", number=before + 3)[before:]
    assert [each.description for each in told] == [
        "Delivery to AWAY: held",
        "Delivery to AWAY: tried again now",
        "Delivery to AWAY: dropped",
    ]
    for each in told:
        assert by_nobody(each) and each.action == "R"
        assert [thing.identifier for thing in each.objects] == [study, patient]
    asks(node, do="send-again", level="study", uid=study, destination="AWAY")
    again = wait_for(node, "DICOM Instances Accessed", number=before + 4)[-1]
    assert by_nobody(again) and "AWAY" in again.description


def test_delivery_that_is_stopped_is_an_alert(node: NodeProcess) -> None:
    asks(node, do="pause", destination="AWAY")
    asks(node, do="resume", destination="AWAY")
    told = wait_for(node, "Security Alert", "Network Configuration", 2)
    assert [each.description for each in told] == [
        "Delivery to AWAY was stopped",
        "Delivery to AWAY goes on",
    ]
    assert all(map(by_nobody, told))


def test_the_configuration_is_read_anew_by_whom(node: NodeProcess) -> None:
    asks(node, do="reload")
    told = wait_for(node, "Security Alert", "Software Configuration")
    assert by_nobody(told[-1]) and told[-1].outcome == 0
    number = len(told)
    node.reload()
    signalled = wait_for(node, "Security Alert", "Software Configuration", number + 1)[-1]
    assert not any(each.requestor for each in signalled.participants)


def test_who_reads_the_audit_trail_is_in_it(node: NodeProcess) -> None:
    asks(node, do="audit", what="messages", number=-1)
    assert by_nobody(wait_for(node, "Audit Log Used")[-1])


def test_who_may_not_ask_is_told_of(node: NodeProcess) -> None:
    assert not ask(node, NOBODY, do="tidy")["ok"]
    (told,) = wait_for(node, "Security Alert", "Use of Restricted Function")
    assert by_nobody(told) and told.outcome == 4
    assert told.description == f"User {NOBODY} may not ask for 'tidy'"


def test_an_export_bears_who_began_it(node: NodeProcess) -> None:
    target = node.folder / "out"
    asks(node, do="export-begin", studies=[study_of(node)], target=str(target), operator="Jane Doe")
    (told,) = wait_for(node, "Export")
    assert told.outcome == 0
    asking = [each for each in told.participants if each.requestor]
    # Whom somebody typed in is a name; the account is what is known.
    assert [(each.user_id, each.name) for each in asking] == [("nobody", "Jane Doe")]


def test_a_retrieval_that_is_asked_for_names_the_peer(node: NodeProcess) -> None:
    asks(node, do="fetch-begin", peer="AWAY", studies=["1.2.3"])
    told = [
        each for each in wait_for(node, "Begin Transferring DICOM Instances") if by_nobody(each)
    ]
    assert [each.identifier for each in told[0].objects] == ["1.2.3", ""]
    assert told[0].participants[0].user_id == "AWAY"


def test_corrections_and_deletions_bear_who_asked(node: NodeProcess, tmp_path: Path) -> None:
    """The last of them: nothing is left then."""
    study = study_of(node)
    asks(node, do="re-identify", level="study", uid=study, changes={"00100020": "NEW"})
    wait_until(
        lambda: [each.action for each in heard(node, "DICOM Instances Accessed")][-1] == "U",
        "it is told",
    )
    changed = heard(node, "DICOM Instances Accessed")[-1]
    assert by_nobody(changed)
    assert changed.objects[1].identifier == "NEW"
    asks(node, do="delete", level="study", uid=study, force=True)
    (deleted,) = wait_for(node, "DICOM Study Deleted")
    assert by_nobody(deleted)
    assert [each.identifier for each in deleted.objects] == [study, "NEW"]
    all_are_valid(node, tmp_path / "judged")
    assert "not audited" not in node.log and "is wrong" not in node.log
