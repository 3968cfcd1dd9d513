"""Routes of a configuration as the storage worker asks them: tests of objects, and what follows."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.archive.decision import Decision, Origin
from agent.configuration.load import load
from agent.dataset import tags
from agent.dataset.head import Head
from agent.errors import LocalError
from agent.vocabulary import vocabulary
from agent.workflow.changes import decode_changes, encode_changes, values_after
from agent.workflow.routing import Routing

CT = "1.2.840.10008.5.1.4.1.1.2"
HANGING_PROTOCOL = "1.2.840.10008.5.1.4.38.1"

_PEERS = "".join(
    f'[[peer]]\nname = "{name}"\naddresses = ["127.0.0.1:{104 + number}"]\n'
    for number, name in enumerate(("PACS", "BACKUP", "DOSE"))
)
_ENTITY = '[[entity]]\nname = "MAIN"\nport = 11112\n[entity.storage]\ncoercion = 1\n' + (
    '[[entity.service]]\nname = "storage"\n'
)


def routing(folder: Path, routes: str) -> Routing:
    path = folder / "gantry.toml"
    path.write_text(_ENTITY + _PEERS + routes)
    configuration = load(files=[path], vocabulary=vocabulary())
    # As it comes to the worker.
    made: Routing = pickle.loads(pickle.dumps(Routing.of(configuration)))
    return made


def head(**values: str | bytes) -> Head:
    raw = {
        tags.from_text(name): value if isinstance(value, bytes) else value.encode("ascii")
        for name, value in {"SOPClassUID": CT, "Modality": "CT", **values}.items()
    }
    return Head(raw, {}, 0, None)


def origin(**more: str) -> Origin:
    return Origin(**{"calling": "CT1", "called": "MAIN", "sop_class_uid": CT, **more})


def decide(
    folder: Path, routes: str, one: Head | None = None, source: Origin | None = None
) -> Decision:
    return routing(folder, routes).receive(one or head(), source or origin())


def destinations(decision: Decision) -> list[str]:
    return [job.destination for job in decision.jobs]


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ("", True),
        ('called = "MAIN"', True),
        ('called = "OTHER"', False),
        ('calling = ["CT2", "CT1"]', True),
        ('calling = "CT2"', False),
        ('modality = ["MR", "CT"]', True),
        ('modality = "MR"', False),
        ('sop_class = "CTImageStorage"', True),
        ('sop_class = "MRImageStorage"', False),
        ('sop_class = ["storage-all", "-CTImageStorage"]', False),
        ('source = "network"', True),
        ('source = ["folder", "capture"]', False),
        ('attribute = [{ attribute = "BodyPartExamined", equals = "HEAD" }]', True),
        ('attribute = [{ attribute = "BodyPartExamined", equals = "HEA" }]', False),
        ('attribute = [{ attribute = "BodyPartExamined", one_of = ["NECK", "HEAD"] }]', True),
        ('attribute = [{ attribute = "BodyPartExamined", wildcard = "H?A*" }]', True),
        ('attribute = [{ attribute = "BodyPartExamined", wildcard = "[H]EAD" }]', False),
        ('attribute = [{ attribute = "BodyPartExamined", regex = "H(EAD|AND)" }]', True),
        ('attribute = [{ attribute = "BodyPartExamined", regex = "EAD" }]', False),
        ('attribute = [{ attribute = "BodyPartExamined", exists = true }]', True),
        ('attribute = [{ attribute = "StationName", exists = true }]', False),
        ('attribute = [{ attribute = "StationName", exists = false }]', True),
        ('attribute = [{ attribute = "StationName", equals = "", not = true }]', True),
        ('attribute = [{ attribute = "BodyPartExamined", equals = "HEAD", not = true }]', False),
        ('attribute = [{ attribute = "ImageType", equals = "PRIMARY" }]', True),
        ('attribute = [{ attribute = "ImageType", equals = "ORIGINAL\\\\\\\\PRIMARY" }]', False),
    ],
)
def test_a_route_fits_when_all_that_it_says_holds(tmp_path: Path, match: str, fits: bool) -> None:
    routes = f'[[route]]\nname = "r"\ndeliver = ["PACS"]\n[route.match]\n{match}\n'
    one = head(BodyPartExamined="HEAD", ImageType="ORIGINAL\\PRIMARY ")
    assert destinations(decide(tmp_path, routes, one)) == (["PACS"] if fits else [])


def test_a_value_is_compared_as_text_in_the_character_set_of_the_object(tmp_path: Path) -> None:
    routes = (
        '[[route]]\nname = "r"\ndeliver = ["PACS"]\n[route.match]\n'
        'attribute = [{ attribute = "InstitutionName", equals = "Krankenhaus Köln" }]\n'
    )
    one = head(
        SpecificCharacterSet="ISO_IR 100", InstitutionName="Krankenhaus Köln".encode("latin-1")
    )
    assert destinations(decide(tmp_path, routes, one)) == ["PACS"]
    other = head(SpecificCharacterSet="ISO_IR 192", InstitutionName="Krankenhaus Köln".encode())
    assert destinations(decide(tmp_path, routes, other)) == ["PACS"]


def test_every_route_that_fits_is_followed_up_to_the_last_and_a_peer_gets_it_once(
    tmp_path: Path,
) -> None:
    routes = (
        '[[route]]\nname = "a"\ndeliver = ["PACS"]\npriority = 7\ndelay = "1 min"\n'
        '[[route]]\nname = "b"\ndeliver = ["BACKUP", "PACS"]\nhold = true\nlast = true\n'
        '[[route]]\nname = "c"\ndeliver = ["DOSE"]\n'
    )
    decision = decide(tmp_path, routes)
    assert destinations(decision) == ["PACS", "BACKUP"]
    first, second = decision.jobs
    assert (first.priority, first.delay, first.hold) == (7, 60.0, "")
    assert second.hold == "held by the route b"


def test_what_a_route_drops_is_kept_all_the_same_when_another_delivers_it(tmp_path: Path) -> None:
    drop = '[[route]]\nname = "drop"\ndrop = true\n[route.match]\nmodality = "CT"\n'
    deliver = '[[route]]\nname = "all"\ndeliver = ["PACS"]\n'
    assert decide(tmp_path, drop).discard
    assert not decide(tmp_path, drop, head(Modality="MR")).discard
    assert not decide(tmp_path, drop + deliver).discard


def test_ps34_031_coercion_on_receipt_is_reported_by_its_elements_and_only_real_ones(
    tmp_path: Path,
) -> None:
    routes = (
        '[[route]]\nname = "r"\n'
        'on_receipt = [{ attribute = "PatientID", map = { "A17" = "4711" } }]\n'
    )
    changed = decide(tmp_path, routes, head(PatientID="A17 "))
    assert changed.coercions == {tags.PATIENT_ID: b"4711"}
    assert decide(tmp_path, routes, head(PatientID="4711")).coercions == {}


def test_objects_of_no_patient_are_never_coerced(tmp_path: Path) -> None:
    routes = '[[route]]\nname = "r"\non_receipt = [{ attribute = "PatientID", set = "1" }]\n'
    one = head(SOPClassUID=HANGING_PROTOCOL, PatientID="2")
    source = origin(sop_class_uid=HANGING_PROTOCOL)
    assert decide(tmp_path, routes, one, source).coercions == {}


def test_changes_of_the_outgoing_copy_travel_with_the_job(tmp_path: Path) -> None:
    routes = (
        '[[route]]\nname = "r"\ndeliver = ["PACS"]\nchange = [\n'
        '{ attribute = "InstitutionName", set = "St. Ägidius" },\n'
        '{ attribute = "StationName", delete = true },\n'
        '{ attribute = "PatientSex", map = { "m" = "M" }, otherwise = "O" }]\n'
    )
    (job,) = decide(tmp_path, routes).jobs
    changes = decode_changes(job.payload)
    values: dict[int, bytes] = {
        tags.SPECIFIC_CHARACTER_SET: b"ISO_IR 192",
        tags.from_text("StationName"): b"X1",
        tags.from_text("PatientSex"): b"w ",
    }
    assert values_after(changes, values) == {
        tags.from_text("InstitutionName"): "St. Ägidius".encode(),
        tags.from_text("StationName"): None,
        tags.from_text("PatientSex"): b"O ",
    }
    values[tags.from_text("PatientSex")] = b"m "
    assert values_after(changes, values)[tags.from_text("PatientSex")] == b"M "


def test_a_text_that_the_character_set_has_no_code_for_is_an_error_not_a_question_mark(
    tmp_path: Path,
) -> None:
    routes = (
        '[[route]]\nname = "r"\ndeliver = ["PACS"]\n'
        'change = [{ attribute = "InstitutionName", set = "St. Ägidius" }]\n'
    )
    (job,) = decide(tmp_path, routes).jobs
    with pytest.raises(LocalError, match="no code for"):
        values_after(decode_changes(job.payload), {})


def test_a_route_that_is_switched_off_does_nothing(tmp_path: Path) -> None:
    routes = '[[route]]\nname = "r"\ndeliver = ["PACS"]\nenabled = false\n'
    assert destinations(decide(tmp_path, routes)) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from((tags.PATIENT_ID, tags.PATIENT_NAME, tags.ACCESSION_NUMBER)),
            st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\=^")),
        ),
        max_size=4,
    )
)
def test_changes_come_back_from_a_job_as_they_went_in(pairs: list[tuple[int, str]]) -> None:
    from agent.configuration.route import Change

    changes: tuple[Any, ...] = tuple(Change(attribute=tag, set=text) for tag, text in pairs)
    assert decode_changes(encode_changes(changes)) == changes
