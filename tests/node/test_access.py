"""Who may use what of a running node, by access rules: DCMTK and pynetdicom call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from tests.node.running import NodeProcess
from tests.node.test_front_door import echo, store, until
from tests.peers.certificates import Certificates

CT = Path(str(get_testdata_file("CT_small.dcm")))

RULES = """
[[entity.service]]
name = "query"
[[access.rule]]
name = "stranger"
allow = false
calling = "STRANGER*"
[[access.rule]]
name = "nobody-from-there"
allow = false
network = ["127.0.0.7/32", "2001:db8::/32"]
[[access.rule]]
name = "all-echo"
service = "verification"
[[access.rule]]
name = "ct-stores-ct"
calling = ["CT1", "CT2"]
service = "storage"
role = "scp"
sop_class = "CT Image Storage"
[[access.rule]]
name = "viewer"
calling = "VIEWER"
operation = "C-FIND"
[[access.rule]]
name = "half"
calling = "HALF"
service = "performed-step"
operation = ["N-CREATE"]
[[access.rule]]
name = "by-host"
network = "127.0.0.9"
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    more = RULES + '[[entity.service]]\nname = "performed-step"\n'
    with NodeProcess(tmp_path_factory.mktemp("access") / "node", more) as running:
        yield running


def associate(node: NodeProcess, calling: str, *classes: str, **more: Any) -> Association:
    entity = AE(calling)
    contexts = [build_context(each) for each in classes]
    return answered(
        lambda: entity.associate(
            "127.0.0.1", node.port, contexts=contexts, ae_title="GANTRY", **more
        )
    )


def answered(call: Callable[[], Association]) -> Association:
    """An association that was established or rejected. pynetdicom takes a rejection that is there
    before it has looked for no connection at all, and calls that neither."""
    for _ in range(20):
        association = call()
        if association.is_established or association.is_rejected:
            return association
    raise AssertionError("neither established nor rejected")


def results(association: Association) -> dict[str, int]:
    """The result of each refused context, by SOP class."""
    return {str(each.abstract_syntax): int(each.result) for each in association.rejected_contexts}


def test_what_a_caller_may_not_use_is_a_user_rejection(node: NodeProcess) -> None:
    unknown = "1.2.840.10008.9.9.9"
    association = associate(node, "CT1", Verification, CTImageStorage, MRImageStorage, unknown)
    assert association.is_established
    # PS3.8 Table 9-18: 1 is user-rejection, 3 abstract-syntax-not-supported.
    assert results(association) == {MRImageStorage: 1, unknown: 3}
    assert association.send_c_echo().Status == 0
    assert association.send_c_store(dcmread(CT)).Status == 0
    association.release()
    line = next(each for each in node.log.splitlines() if "reason=context" in each)
    assert "access.refused" in line and "calling=CT1" in line and MRImageStorage in line


def test_dcmtk_stores_what_it_may_and_is_told_what_it_may_not(node: NodeProcess) -> None:
    store(node.port, "-aet", "CT2", "-aec", "GANTRY").check()
    refused = store(node.port, "-aet", "OTHER", "-aec", "GANTRY")
    assert "No Acceptable Presentation Contexts" in refused.output
    echo(node.port, "-aet", "OTHER", "-aec", "GANTRY").check()


def test_who_may_have_nothing_is_rejected_with_the_reason_of_the_standard(
    node: NodeProcess,
) -> None:
    refused = echo(node.port, "-aet", "STRANGER1", "-aec", "GANTRY")
    assert "Calling AE Title Not Recognized" in refused.output
    association = associate(node, "STRANGER2", Verification)
    answer = association.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 3)
    # A caller known by title, from a host that is not allowed.
    barred = associate(node, "CT1", Verification, bind_address=("127.0.0.7", 0))
    answer = barred.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 1)
    assert "reason=network" in node.log


def test_a_host_may_do_what_its_rule_says_under_any_title(node: NodeProcess) -> None:
    association = associate(node, "ANY", MRImageStorage, bind_address=("127.0.0.9", 0))
    assert results(association) == {}
    association.release()


def test_a_rule_for_one_operation_opens_the_contexts_that_have_it(node: NodeProcess) -> None:
    find = StudyRootQueryRetrieveInformationModelFind
    association = associate(node, "VIEWER", find, CTImageStorage)
    assert results(association) == {CTImageStorage: 1}
    assert [each.abstract_syntax for each in association.accepted_contexts] == [find]
    association.release()


def test_an_operation_that_is_not_allowed_is_refused_with_0124h(node: NodeProcess) -> None:
    from pydicom.dataset import Dataset
    from pydicom.uid import generate_uid
    from pynetdicom.sop_class import (  # type: ignore[attr-defined]
        ModalityPerformedProcedureStep,
    )

    association = associate(node, "HALF", ModalityPerformedProcedureStep)
    assert association.is_established
    change = Dataset()
    change.PerformedProcedureStepStatus = "COMPLETED"
    status, _ = association.send_n_set(change, ModalityPerformedProcedureStep, generate_uid())
    assert status.Status == 0x0124
    # The association goes on, and the operation that is allowed is looked at.
    status, _ = association.send_n_create(change, ModalityPerformedProcedureStep, generate_uid())
    assert status.Status not in (0x0124, 0x0000)
    association.release()
    assert "reason=operation" in node.log and "operation=N-SET" in node.log


def test_refusals_are_counted_by_reason(node: NodeProcess) -> None:
    associate(node, "STRANGER9", Verification)
    metrics = node.ask("metrics")
    found = {
        line.partition("{")[2].partition("}")[0]: float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith("gantry_access_refused_total{")
    }
    assert found['reason="calling"'] >= 1


def test_a_host_that_fails_too_often_is_shut_out_and_others_are_not(tmp_path: Path) -> None:
    more = '[access.lock_out]\nhost = 3\nduration = "1 min"\n'
    with NodeProcess(tmp_path / "node", more, accept='calling = "peers"') as node:
        for _ in range(3):
            assert "Not Recognized" in echo(node.port, "-aet", "NOBODY", "-aec", "GANTRY").output
        gone = echo(node.port, "-aet", "NOBODY", "-aec", "GANTRY")
        assert "Not Recognized" not in gone.output and gone.returncode != 0
        other = associate(node, "NOBODY", Verification, bind_address=("127.0.0.5", 0))
        assert other.is_rejected
        locked = node.ask("status")["locked_out"]
        assert [(each["kind"], each["who"]) for each in locked] == [("host", "127.0.0.1")]
        assert 50 <= locked[0]["seconds"] <= 60
        assert node.log.count("access.locked_out") == 1
        # An engineer who switches it off lets the host in again.
        node.write('[[peer]]\nname = "NOBODY"\n')
        node.reload()
        echo(node.port, "-aet", "NOBODY", "-aec", "GANTRY").check()


def test_connections_above_the_rate_of_a_host_are_reset(tmp_path: Path) -> None:
    import socket

    more = "[limits]\nconnections_per_second_per_host = 5\n"
    with NodeProcess(tmp_path / "node", more) as node:
        ends = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(40)]
        until(lambda: "reason=rate" in node.log)
        reset = 0
        for end in ends:
            end.settimeout(0.2)
            try:
                reset += end.recv(1) == b""
            except TimeoutError:
                pass
            except OSError:
                reset += 1
            end.close()
        # All forty come within two seconds at most.
        assert reset >= 40 - 3 * 5
        until(lambda: echo(node.port, "-aec", "GANTRY").returncode == 0)


def test_a_certificate_says_who_may_store(tmp_path: Path, certificates: Certificates) -> None:
    more = (
        f'[entity.tls]\ncertificate = "{certificates.server.certificate}"\n'
        f'private_key = "{certificates.server.key}"\ntrust = ["{certificates.authority}"]\n'
        '[[access.rule]]\nname = "client"\nsubject = "CN=client"\nissuer = "CN=*"\n'
        'service = "storage"\n'
        f'[[access.rule]]\nname = "very-one"\nfingerprint = "{_fingerprint(certificates)}"\n'
        'service = "verification"\n'
    )
    with NodeProcess(tmp_path / "node", more) as node:
        own = certificates.dcmtk_options(certificates.client)
        store(node.port, *own, "-aec", "GANTRY").check()
        echo(node.port, *own, "-aec", "GANTRY").check()
        # A certificate of the same authority, and another name.
        other = certificates.dcmtk_options(certificates.server)
        refused = store(node.port, *other, "-aec", "GANTRY")
        assert "No Reason" in refused.output
        line = next(each for each in node.log.splitlines() if "access.refused" in each)
        assert "reason=certificate" in line and "CN=" in line


def _fingerprint(certificates: Certificates) -> str:
    import hashlib
    import ssl

    text = certificates.client.certificate.read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()
