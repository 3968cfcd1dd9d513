"""What Storage says when an association is negotiated (PS3.4 B.3)."""

from __future__ import annotations

import pytest

from agent.dataset.sop_classes import (
    FOR_PROCESSING,
    NON_PATIENT,
    RELATED_GENERAL,
    storage_sop_classes,
)
from agent.dataset.transfer_syntaxes import DEFLATED_IMAGE_FRAME, RLE_LOSSLESS
from agent.services.storage_negotiation import (
    Capability,
    Proposal,
    common_extended_items,
    context_needs,
    extended_answer,
    extended_items,
    sending_order,
    transfer_syntaxes_for,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG = "1.2.840.10008.1.2.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
"""Which nothing here decodes yet."""

SR = "1.2.840.10008.5.1.4.1.1.88.33"
HANGING_PROTOCOL = "1.2.840.10008.5.1.4.38.1"
TWELVE_LEAD, GENERAL_ECG, ECG_32 = (f"1.2.840.10008.5.1.4.1.1.9.1.{n}" for n in (1, 2, 4))


@pytest.mark.parametrize(
    ("capability", "encoded"),
    [
        (Capability(2, 3, False), "020003000000"),
        (Capability(2, 1, True), "020001000100"),
        (Capability(1, 3, False), "010000000000"),
        (Capability(0, 2, True), "000000000100"),
    ],
)
def test_ps34_018_the_answer_has_our_own_level_signature_level_and_coercion(
    capability: Capability, encoded: str
) -> None:
    assert capability.encode().hex() == encoded


def test_ps34_019_reserved_bytes_of_the_offer_are_ignored() -> None:
    answer = extended_answer(Capability())
    assert answer(bytes((3, 9, 0, 9, 2, 9))) == answer(bytes((3, 0, 0, 0, 2, 0)))


def test_ps34_021_a_pure_scu_sends_03_00_00_00_02_00() -> None:
    (item,) = extended_items([CT], None)
    assert item.information == bytes((3, 0, 0, 0, 2, 0))


def test_ps34_029_classes_of_annex_gg_have_no_extended_item() -> None:
    assert extended_items(NON_PATIENT, Capability()) == ()
    assert common_extended_items(NON_PATIENT) == ()


def test_ps34_022_related_general_classes_are_exactly_those_of_table_b_3_3() -> None:
    items = common_extended_items(storage_sop_classes())
    assert {each.service_class_uid for each in items} == {"1.2.840.10008.4.2"}
    related = {
        each.sop_class_uid: each.related_general_sop_class_uids
        for each in items
        if each.related_general_sop_class_uids
    }
    assert related == dict(RELATED_GENERAL)


def test_ps34_010_each_class_and_each_encapsulated_syntax_has_a_context_of_its_own() -> None:
    needs = context_needs([(CT, EXPLICIT), (CT, JPEG_2000), (CT, EXPLICIT)])
    assert [(each.abstract_syntax, each.transfer_syntaxes) for each in needs] == [
        (CT, (EXPLICIT,)),
        (CT, (IMPLICIT, BIG)),
        (CT, (JPEG_2000,)),
    ]


def test_what_can_be_decoded_is_proposed_native_besides() -> None:
    needs = context_needs([(CT, RLE_LOSSLESS)])
    assert [each.transfer_syntaxes for each in needs] == [
        (RLE_LOSSLESS,),
        (EXPLICIT, IMPLICIT, BIG),
    ]


@pytest.mark.parametrize("stored, default", [("57", "70"), ("81", "80")])
def test_ps35_10_2_and_10_5_the_default_of_the_family_is_proposed_too(
    stored: str, default: str
) -> None:
    pytest.importorskip("agent.codecs.kernel")
    family = "1.2.840.10008.1.2.4."
    needs = context_needs([(CT, family + stored)])
    assert [each.transfer_syntaxes for each in needs] == [
        (family + stored,),
        (family + default,),
        (EXPLICIT, IMPLICIT, BIG),
    ]
    likes = Proposal(preferred=(family + stored,), lossy=True)
    assert family + default in transfer_syntaxes_for(CT, EXPLICIT, likes)


def test_each_compressed_syntax_that_the_peer_likes_has_a_context_of_its_own() -> None:
    likes = Proposal(preferred=(RLE_LOSSLESS, DEFLATED_IMAGE_FRAME, IMPLICIT))
    needs = context_needs([(CT, EXPLICIT)], likes)
    assert [each.transfer_syntaxes for each in needs] == [
        (RLE_LOSSLESS,),
        (DEFLATED_IMAGE_FRAME,),
        (IMPLICIT, EXPLICIT, BIG),
    ]


def test_only_images_are_proposed_compressed_and_lossy_only_where_that_is_allowed() -> None:
    likes = Proposal(preferred=(RLE_LOSSLESS,))
    assert RLE_LOSSLESS not in transfer_syntaxes_for(SR, EXPLICIT, likes)
    pytest.importorskip("agent.codecs.kernel")
    lossy = Proposal(preferred=(JPEG_BASELINE,), lossy=True)
    assert transfer_syntaxes_for(CT, EXPLICIT, lossy)[0] == JPEG_BASELINE
    assert JPEG_BASELINE not in transfer_syntaxes_for(
        CT, EXPLICIT, Proposal(preferred=(JPEG_BASELINE,))
    )
    # What has lost something already is not made to lose more.
    near = "1.2.840.10008.1.2.4.81"
    assert JPEG_BASELINE not in transfer_syntaxes_for(CT, near, lossy)


@pytest.mark.parametrize("processing", FOR_PROCESSING)
def test_ps34_026_a_class_for_processing_brings_its_class_for_presentation(
    processing: str,
) -> None:
    needs = context_needs([(processing, EXPLICIT)])
    assert FOR_PROCESSING[processing] in {each.abstract_syntax for each in needs}


def test_ps34_023_the_related_general_classes_are_proposed_for_the_fall_back() -> None:
    needs = context_needs([(TWELVE_LEAD, EXPLICIT)], Proposal(conversion=False))
    assert [each.abstract_syntax for each in needs] == [TWELVE_LEAD, GENERAL_ECG, ECG_32]
    order = sending_order(TWELVE_LEAD, EXPLICIT, Proposal(conversion=False))
    assert order == [(TWELVE_LEAD, EXPLICIT), (GENERAL_ECG, EXPLICIT), (ECG_32, EXPLICIT)]


def test_mx_04_a_syntax_that_is_never_proposed_is_left_out() -> None:
    assert transfer_syntaxes_for(CT, EXPLICIT, Proposal(never=(EXPLICIT, BIG))) == (IMPLICIT,)


def test_rv_13_what_cannot_be_converted_is_proposed_as_it_is_or_not_at_all() -> None:
    assert transfer_syntaxes_for(CT, JPEG_2000, Proposal(preferred=(EXPLICIT,))) == (JPEG_2000,)
    assert transfer_syntaxes_for(CT, JPEG_2000, Proposal(never=(JPEG_2000,))) == ()


def test_the_peers_preference_comes_first_among_what_can_be_made() -> None:
    preferred = Proposal(preferred=(JPEG_2000, IMPLICIT))
    assert transfer_syntaxes_for(CT, EXPLICIT, preferred) == (IMPLICIT, EXPLICIT, BIG)
