"""Our PDUs read by pynetdicom, and pynetdicom's by us: two implementations of the same tables."""

from __future__ import annotations

import pytest

from agent.network import pdu as ours
from agent.network.user_identity import UserIdentity
from agent.network.user_information import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserInformation,
)
from tests.network.pdus import CT_IMAGE_STORAGE, EXPLICIT, IMPLICIT, VERIFICATION, proposing

theirs = pytest.importorskip("pynetdicom.pdu")

pytestmark = pytest.mark.peer

FULL = UserInformation(
    65536,
    "1.2.3.4",
    "GANTRY",
    (8, 3),
    (RoleSelection(CT_IMAGE_STORAGE, scu=False, scp=True),),
    (ExtendedNegotiation(CT_IMAGE_STORAGE, bytes((2, 0, 0, 0, 1, 0))),),
    (CommonExtendedNegotiation(CT_IMAGE_STORAGE, "1.2.840.10008.4.2", ("1.2.3", "1.2.4")),),
    UserIdentity(2, b"name", b"passcode", True),
)
REQUEST = proposing(
    (1, VERIFICATION, (IMPLICIT,)),
    (255, CT_IMAGE_STORAGE, (EXPLICIT, IMPLICIT)),
    information=FULL,
)


def test_a_request_with_every_sub_item_is_read_and_written_alike() -> None:
    read = theirs.A_ASSOCIATE_RQ()
    read.decode(REQUEST.encode())
    assert read.called_ae_title.strip() == "CALLED"
    assert read.calling_ae_title.strip() == "CALLING"
    assert [c.presentation_context_id for c in read.presentation_context] == [1, 255]
    (role,) = read.user_information.role_selection.values()
    assert (role.scu_role, role.scp_role) == (False, True)
    window = read.user_information.async_ops_window
    assert window.maximum_number_operations_invoked == 8
    assert window.maximum_number_operations_performed == 3
    (common,) = read.user_information.common_ext_neg
    assert common.service_class_uid == "1.2.840.10008.4.2"
    assert list(common.related_general_sop_class_identification) == ["1.2.3", "1.2.4"]
    identity = read.user_information.user_identity
    assert (identity.primary_field, identity.secondary_field) == (b"name", b"passcode")
    written = ours.AssociateRequest.decode(read.encode()[6:])
    assert written == REQUEST


@pytest.mark.parametrize(
    ("kind", "pdu"),
    [
        ("A_ASSOCIATE_RJ", ours.AssociateReject(2, 3, 2)),
        ("A_RELEASE_RQ", ours.ReleaseRequest()),
        ("A_RELEASE_RP", ours.ReleaseResponse()),
        ("A_ABORT_RQ", ours.Abort(2, 6)),
    ],
)
def test_the_short_pdus_are_read_and_written_alike(kind: str, pdu: ours.Abort) -> None:
    read = getattr(theirs, kind)()
    read.decode(pdu.encode())
    assert read.encode() == pdu.encode()


def test_a_data_header_is_read_alike() -> None:
    data = ours.p_data_header(3, command=True, last=True, length=4) + b"data"
    read = theirs.P_DATA_TF()
    read.decode(data)
    (value,) = read.presentation_data_value_items
    assert value.presentation_context_id == 3
    assert value.presentation_data_value == b"\x03data"
