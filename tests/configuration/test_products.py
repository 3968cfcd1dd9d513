"""The policies of four products, each as a small profile: what they ask for can be said."""

from __future__ import annotations

from pathlib import Path

from tests.configuration.words import load_text, problems_of

MXVIEW = """
[node]
implementation_class_uid = "1.2.840.113704.7.0.2"

[[archive]]
name = "disk"
volume = "/"
[archive.retention]
delete = "for-space"
after = "received"
order = "least-recently-used"

[[archive]]
name = "removable"
folder = "/media/eod"
volume = "/media/eod"

[[entity]]
name = "DS"
maximum_pdu = 2048
extended_negotiation = false
role_selection = false
prefer = "acceptor"
transfer_syntaxes = ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
[entity.limits]
associations = 0
[entity.accept]
calling = "titles"
calling_titles = ["CT1", "WORKSTATION"]
networks = ["192.0.2.0/24"]
[entity.status]
disk_full = 0xA701
[[entity.service]]
name = "verification"
[[entity.service]]
name = "storage"
roles = ["scp", "scu"]
[[entity.service]]
name = "query"
[[entity.service]]
name = "move"

[[entity]]
name = "EOD"
archive = "removable"
[entity.status]
volume_away = 0xC000
[[entity.service]]
name = "storage"

[[peer]]
name = "ARCHIVE"
addresses = ["192.0.2.9:104"]
services = ["verification", "storage", "commitment"]
never_propose = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]
[peer.window]
idle = "60 s"
[peer.quirks]
single_association = true
"""


def test_mxview_policies_can_be_said(tmp_path: Path) -> None:
    configuration = load_text(tmp_path, MXVIEW)
    disk, eod = configuration.entities
    assert disk.prefer == "acceptor"
    assert disk.transfer_syntaxes[0] == "1.2.840.10008.1.2.2"
    assert (disk.archive, eod.archive) == ("disk", "removable")
    assert disk.limits.associations == 0
    assert disk.limits.operations_performed == 1
    assert disk.status.disk_full == 0xA701
    (archive,) = configuration.peers
    assert "commitment" in archive.services
    assert archive.window.idle == 60


def test_mx_06_2048_is_taken_as_maximum_pdu_and_2047_is_refused_with_a_message(
    tmp_path: Path,
) -> None:
    assert not problems_of(tmp_path, MXVIEW)
    problems = problems_of(tmp_path, MXVIEW, "entity.DS.maximum_pdu=2047")
    assert "2047 is not allowed" in str(problems["entity.DS.maximum_pdu"])
    assert "from 2048" in problems["entity.DS.maximum_pdu"].allowed
    assert not problems_of(tmp_path, MXVIEW, "entity.DS.maximum_pdu=0")


ICONNECT = """
[node]
implementation_class_uid = "2.16.840.1.113669.2013.1.2"
implementation_version_name = "IBM ICA 7.1"

[[entity]]
name = "viewer"
title = "ICA_VIEWER"
port = 4444
extended_negotiation = false
role_selection = false
[entity.limits]
associations = 0
[entity.accept]
calling = "any"
solicited = true
[[entity.service]]
name = "storage"
roles = ["scp", "scu"]
[[entity.service]]
name = "query"
roles = ["scu"]
[[entity.service]]
name = "move"
roles = ["scu"]

[[entity]]
name = "transfer"
title = "ICA_TRANSFER"
port = 4445
[entity.accept]
calling = "any"
solicited = true
[[entity.service]]
name = "storage"

[[entity]]
name = "precache"
title = "ICA_PRECACHE"
port = 4446
[entity.accept]
calling = "any"
[[entity.service]]
name = "storage"

[[peer]]
name = "SOURCE"
addresses = ["192.0.2.1:104"]
entity = "viewer"
services = ["query", "move"]
[peer.window]
associations = 50
reuse = true
cached = 5
[peer.quirks]
relational_unnegotiated = true

[[peer]]
name = "SOURCE_GSPS"
addresses = ["192.0.2.1:105"]
entity = "viewer"
[peer.window]
associations = 1
reuse = false
"""


def test_iconnect_policies_can_be_said(tmp_path: Path) -> None:
    configuration = load_text(tmp_path, ICONNECT)
    assert [each.port for each in configuration.entities] == [4444, 4445, 4446]
    assert [each.accept.solicited for each in configuration.entities] == [True, True, False]
    assert all(each.accept.called_title for each in configuration.entities)
    source, gsps = configuration.peers
    assert source.quirks.relational_unnegotiated
    assert (source.window.cached, source.window.associations) == (5, 50)
    assert (gsps.window.associations, gsps.window.reuse) == (1, False)
    assert gsps.calling_title == "ICA_VIEWER"


REVIEWER = """
[node]
implementation_class_uid = "2.16.840.1.114444"
implementation_version_name = "RVWR1.6.0.9"

[[archive]]
name = "local"
volume = "/srv/reviewer"

[[entity]]
name = "REVIEWER"
addresses = ["192.0.2.5"]
port = 104
maximum_pdu = 16384
extended_negotiation = false
[entity.limits]
associations = 100
[entity.accept]
calling = "any"
called_title = false
[entity.timers]
progress = "30 s"
idle = "5 min"
[entity.socket]
send_buffer = "64 KiB"
receive_buffer = "64 KiB"
linger = 2
keep_alive = 30
[entity.storage]
onward = "SERVER"
[entity.status]
disk_full = "A700"
mismatch = "A900"
volume_away = "C002"
onward_silent = "C003"
onward_refused = "C004"
unparsable = "C006"
[[entity.service]]
name = "verification"
roles = ["scp", "scu"]
[[entity.service]]
name = "storage"
roles = ["scp", "scu"]

[[peer]]
name = "SERVER"
addresses = ["192.0.2.6:104"]
"""


def test_rv_05_the_status_of_each_refusal_can_be_said(tmp_path: Path) -> None:
    configuration = load_text(tmp_path, REVIEWER)
    (entity,) = configuration.entities
    status = entity.status
    assert status.unparsable == 0xC006
    assert (status.volume_away, status.onward_silent, status.onward_refused) == (
        0xC002,
        0xC003,
        0xC004,
    )
    assert entity.storage.onward == "SERVER"
    for code in ("FE00", "FF00"):
        assert problems_of(tmp_path, REVIEWER, f"entity.REVIEWER.status.disk_full={code}")


def test_reviewer_host_parameters_can_be_said(tmp_path: Path) -> None:
    (entity,) = load_text(tmp_path, REVIEWER).entities
    assert entity.bind_addresses == ("192.0.2.5",)
    assert entity.socket.send_buffer == entity.socket.receive_buffer == 65536
    assert (entity.socket.linger, entity.socket.keep_alive) == (2, 30)
    assert entity.limits.associations == 100


CDAC = """
[[entity]]
name = "CDAC"
addresses = ["0.0.0.0"]
port = 11112
maximum_pdu = 16384
extended_negotiation = false
prefer = "requestor"
[entity.limits]
associations = 0
operations_performed = 8
operations_invoked = 8
[entity.accept]
called_title = false
calling = "any"

[[entity.service]]
name = "verification"
roles = ["scp", "scu"]
[[entity.service]]
name = "storage"
roles = ["scp", "scu"]
[[entity.service]]
name = "query"
[entity.service.accept]
called_title = true
calling = "peers"
[[entity.service]]
name = "move"
[entity.service.accept]
called_title = true
calling = "any"
[[entity.service]]
name = "get"
[entity.service.accept]
called_title = true
calling = "peers"
[[entity.service]]
name = "worklist"
operations = 1
[[entity.service]]
name = "print"
associations = 1
operations = 1

[[peer]]
name = "DESTINATION"
addresses = ["192.0.2.7:104"]
[peer.window]
objects_per_association = 1
reuse = false
operations = 8
"""


def test_cdac_policies_of_each_service_can_be_said(tmp_path: Path) -> None:
    (entity,) = load_text(tmp_path, CDAC).entities
    services = {each.name: each for each in entity.services}
    assert services["print"].associations == 1
    assert services["worklist"].operations == 1
    assert services["storage"].accept is None
    accept = {name: each.accept for name, each in services.items() if each.accept is not None}
    assert {name: (each.called_title, each.calling) for name, each in accept.items()} == {
        "query": (True, "peers"),
        "move": (True, "any"),
        "get": (True, "peers"),
    }
    assert not entity.accept.called_title
    assert entity.maximum_pdu == 16384


def test_cd_09_ipv6_is_switched_on_by_an_address(tmp_path: Path) -> None:
    assert load_text(tmp_path, CDAC).entities[0].bind_addresses == ("0.0.0.0",)
    both = load_text(tmp_path, CDAC, 'entity.CDAC.addresses=["0.0.0.0", "::"]').entities[0]
    assert both.bind_addresses == ("0.0.0.0", "::")
