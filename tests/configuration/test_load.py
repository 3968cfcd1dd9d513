"""Loading: layers, all problems at once with their places, names, references, contradictions."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from agent.configuration.configuration import Configuration
from agent.configuration.load import load
from agent.configuration.problems import ConfigurationErrors
from agent.configuration.profiles import VARIABLE
from agent.configuration.vocabulary import Vocabulary
from agent.dataset.transfer_syntaxes import UNCOMPRESSED
from tests.configuration.words import VOCABULARY, load_text, problems_of

SERVICE = """
[[entity.service]]
name = "verification"
"""


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def test_nothing_configured_is_a_node_with_one_archive_and_no_entities() -> None:
    configuration = load(files=[], vocabulary=VOCABULARY)
    assert [each.folder for each in configuration.archives] == ["/var/lib/gantry/archive/main"]
    assert configuration.entities == ()


def test_all_problems_are_told_at_once_with_file_line_and_what_is_allowed(tmp_path: Path) -> None:
    text = """\
        [node]
        state = "relative"

        [[entity]]
        name = "GANTRY"
        port = 99999
        prefr = "acceptor"
        transfer_syntaxes = ["explicit-big", "jpeg-lss"]

        [[entity.service]]
        name = "storrage"

        [[peer]]
        name = "PACS"
        addresses = ["192.0.2.1:104"]
        [peer.timers]
        connect = "fast"

        [[route]]
        name = "all"
        deliver = ["PACX"]
        """
    with pytest.raises(ConfigurationErrors) as caught:
        load_text(tmp_path, text, "entity.GANTRY.maximum_pdu=2047", "nonsense")
    problems = {problem.key: problem for problem in caught.value.problems}
    assert set(problems) == {
        "",
        "node.state",
        "entity.GANTRY.port",
        "entity.GANTRY.prefr",
        "entity.GANTRY.transfer_syntaxes",
        "entity.GANTRY.service.storrage.name",
        "entity.GANTRY.maximum_pdu",
        "peer.PACS.timers.connect",
        "route.all.deliver",
    }
    lines = {key: problem.line for key, problem in problems.items()}
    assert lines["node.state"] == 2
    assert lines["entity.GANTRY.port"] == 6
    assert lines["entity.GANTRY.service.storrage.name"] == 11
    assert lines["peer.PACS.timers.connect"] == 17
    assert lines["route.all.deliver"] == 21
    assert problems["entity.GANTRY.prefr"].suggestion == "prefer"
    assert problems["entity.GANTRY.service.storrage.name"].suggestion == "storage"
    assert problems["route.all.deliver"].suggestion == "PACS"
    assert problems["entity.GANTRY.maximum_pdu"].source == "--set entity.GANTRY.maximum_pdu"
    for key, problem in problems.items():
        if key and not key.endswith("prefr"):
            assert problem.allowed, key
    text = str(caught.value)
    assert text.startswith("the configuration has ")
    assert f"{tmp_path}/gantry.toml:6: entity.GANTRY.port: 99999 is not allowed" in text


def test_problems_cross_a_process_boundary(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationErrors) as caught:
        load_text(tmp_path, "[node]\ndrain = -1\n")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.problems == caught.value.problems


def test_a_configuration_can_be_pickled_for_workers(tmp_path: Path) -> None:
    configuration = load_text(tmp_path, "", profile="gateway")
    copy = pickle.loads(pickle.dumps(configuration))
    assert copy == configuration
    assert copy.entities[0].transfer_syntaxes.written == ("all",)


@pytest.mark.parametrize(
    ("raw", "line", "words"),
    [
        (b"[node\n", 1, "is not TOML"),
        (b"[node]\nstate = \n", 2, "is not TOML"),
        (b"[node]\n\nname = 'x\xff'\n", 3, "UTF-8"),
        (b"a = 1\na = 2\n", 2, "is not TOML"),
        (b"x = " + b"[" * 5000, 0, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_toml_is_named_with_its_line(
    tmp_path: Path, raw: bytes, line: int, words: str
) -> None:
    path = tmp_path / "gantry.toml"
    path.write_bytes(raw)
    with pytest.raises(ConfigurationErrors) as caught:
        load(files=[path])
    (problem,) = caught.value.problems
    assert (problem.source, problem.line) == (str(path), line)
    assert words in problem.message


def test_a_file_that_is_missing_or_far_too_long_is_named(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_bytes(b"#" * (2**22 + 1))
    with pytest.raises(ConfigurationErrors) as caught:
        load(files=[tmp_path / "none.toml", tmp_path / "long.toml"])
    assert [problem.message.split()[0] for problem in caught.value.problems] == ["cannot", "is"]


# Layers


def test_each_layer_wins_over_those_before_it_key_by_key(tmp_path: Path, profiles: Path) -> None:
    (profiles / "product.toml").write_text(
        '[node]\nname = "profile"\ndrain = 1\n[log]\nlevel = "debug"\nformat = "json"\n'
    )
    main = tmp_path / "gantry.toml"
    main.write_text('profile = "product"\n[node]\nname = "main"\n[log]\nlevel = "info"\n')
    drop_ins = tmp_path / "gantry.toml.d"
    drop_ins.mkdir()
    (drop_ins / "20-second.toml").write_text('[node]\nname = "second"\n')
    (drop_ins / "10-first.toml").write_text('[node]\nname = "first"\ncontrol = "/run/one"\n')
    (drop_ins / "30-not-read.conf").write_text("not TOML")
    configuration = load(files=[main], overrides=["log.level=error"])
    assert configuration.node.name == "second"
    assert configuration.node.control == "/run/one"
    assert configuration.node.drain == 1
    assert (configuration.log.level, configuration.log.format) == ("error", "json")
    assert [Path(each).name for each in configuration.origin.files] == [
        "product.toml",
        "gantry.toml",
        "10-first.toml",
        "20-second.toml",
    ]
    assert configuration.profile == "product"


def test_lists_of_tables_are_joined_by_name_and_other_lists_replaced(
    tmp_path: Path, profiles: Path
) -> None:
    (profiles / "product.toml").write_text(
        '[[entity]]\nname = "A"\nport = 4444\n[[entity.service]]\nname = "verification"\n'
        '[[entity.service]]\nname = "storage"\ntransfer_syntaxes = ["rle", "uncompressed"]\n'
        '[[entity]]\nname = "B"\nport = 4445\n[[entity.service]]\nname = "verification"\n'
    )
    configuration = load_text(
        tmp_path,
        """
        [[entity]]
        name = "B"
        enabled = false
        [[entity]]
        name = "A"
        title = "OURS"
        [[entity.service]]
        name = "storage"
        transfer_syntaxes = "explicit-little"
        [[entity]]
        name = "C"
        port = 4446
        [[entity.service]]
        name = "verification"
        """.replace("explicit-little", "1.2.840.10008.1.2.1"),
        profile="product",
    )
    assert [(each.name, each.title, each.port) for each in configuration.entities] == [
        ("A", "OURS", 4444),
        ("C", "C", 4446),
    ]
    verification, storage = configuration.entities[0].services
    assert (verification.name, storage.name) == ("verification", "storage")
    assert storage.transfer_syntaxes == ("1.2.840.10008.1.2.1",)


def test_a_profile_may_stand_on_another(profiles: Path) -> None:
    (profiles / "base.toml").write_text('[node]\nname = "base"\ndrain = 7\n')
    (profiles / "special.toml").write_text('profile = "base"\n[node]\nname = "special"\n')
    configuration = load("special", files=[])
    assert (configuration.node.name, configuration.node.drain) == ("special", 7)
    assert configuration.profile == "special"


def test_profiles_beneath_themselves_and_missing_ones_are_told(profiles: Path) -> None:
    (profiles / "one.toml").write_text('profile = "two"\n')
    (profiles / "two.toml").write_text('\nprofile = "one"\n')
    with pytest.raises(ConfigurationErrors) as caught:
        load("one", files=[])
    (problem,) = caught.value.problems
    assert (problem.source, problem.line) == (str(profiles / "two.toml"), 2)
    with pytest.raises(ConfigurationErrors, match="did you mean 'gateway'"):
        load("gatewya", files=[])
    for name in ("../one", "/etc/passwd", "", "a b"):
        with pytest.raises(ConfigurationErrors) if name else _nothing():
            load(name, files=[])


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_the_command_line_wins_over_the_profile_that_a_file_names(
    tmp_path: Path, profiles: Path
) -> None:
    (profiles / "one.toml").write_text('[node]\nname = "one"\n')
    (profiles / "two.toml").write_text('[node]\nname = "two"\n')
    assert load_text(tmp_path, 'profile = "one"', profile="two").node.name == "two"
    assert load_text(tmp_path, 'profile = "one"', "profile=two").profile == "two"


@pytest.mark.parametrize("name", ["gateway", "capture-station", "mini-archive"])
def test_the_profiles_of_the_project_are_valid_by_themselves(name: str) -> None:
    configuration = load(name, files=[], vocabulary=VOCABULARY)
    (entity,) = configuration.entities
    assert entity.services_of("verification", "scp")
    assert configuration.description


# Names


def test_names_of_sop_classes_and_transfer_syntaxes_become_uids_in_order(tmp_path: Path) -> None:
    configuration = load_text(
        tmp_path,
        """
        [[entity]]
        name = "A"
        transfer_syntaxes = ["jpeg-ls", "uncompressed", "1.2.840.10008.1.2.1", "1.2.3.4"]
        [[entity.service]]
        name = "storage"
        sop_classes = ["ct image storage", "MRImageStorage", "1.2.3.4.5"]
        [[entity.service]]
        name = "most"
        service = "storage"
        sop_classes = ["storage-all", "-CTImageStorage"]
        [[entity.service]]
        name = "verification"
        """,
    )
    (entity,) = configuration.entities
    assert entity.transfer_syntaxes == ("1.2.840.10008.1.2.4.80", *UNCOMPRESSED, "1.2.3.4")
    storage, most, verification = entity.services
    assert storage.sop_classes == (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.840.10008.5.1.4.1.1.4",
        "1.2.3.4.5",
    )
    assert storage.transfer_syntaxes == entity.transfer_syntaxes
    assert "1.2.840.10008.5.1.4.1.1.2" not in most.sop_classes
    assert len(most.sop_classes) > 100
    assert entity.services_of("storage", "scp") == (storage, most)
    assert verification.sop_classes == ("1.2.840.10008.1.1",)


def test_the_default_transfer_syntaxes_are_found_in_the_vocabulary(tmp_path: Path) -> None:
    configuration = load_text(tmp_path, f'[[entity]]\nname = "A"\n{SERVICE}')
    assert set(UNCOMPRESSED) < set(configuration.entities[0].transfer_syntaxes)


def test_without_a_vocabulary_names_stay_as_they_are_written(tmp_path: Path) -> None:
    configuration = load_text(
        tmp_path,
        '[[entity]]\nname = "A"\ntransfer_syntaxes = ["what", "ever"]\n' + SERVICE,
        vocabulary=Vocabulary(),
    )
    assert configuration.entities[0].transfer_syntaxes == ("what", "ever")


def test_unknown_names_are_refused_with_the_nearest_one(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path,
        """
        [[entity]]
        name = "A"
        transfer_syntaxes = ["uncompresed"]
        [[entity.service]]
        name = "storage"
        sop_classes = ["CTImagStorage", 5]
        [[entity.service]]
        name = "again"
        service = "storag"
        [[entity.service]]
        name = "relevant-patient"
        [[entity.service]]
        name = "verification"
        sop_classes = ["CTImageStorage"]
        [[capture]]
        name = "video"
        kind = "simulatr"
        [[route]]
        name = "r"
        [route.match]
        attribute = [{ attribute = "PatientIDs", exists = true }]
        """,
    )
    assert problems["entity.A.transfer_syntaxes"].suggestion == "uncompressed"
    assert "entity.A.service.storage.sop_classes" in problems
    assert problems["entity.A.service.again.service"].suggestion == "storage"
    assert problems["entity.A.service.relevant-patient.roles"].allowed == "scu"
    assert "no SOP class of" in problems["entity.A.service.verification.sop_classes"].message
    assert problems["capture.video.kind"].suggestion == "simulator"
    assert problems["route.r.match.attribute.1.attribute"].suggestion == "PatientID"


# References and contradictions


def test_names_that_follow_from_others_are_filled_in(tmp_path: Path) -> None:
    configuration = load_text(
        tmp_path,
        f"""
        [node]
        state = "/srv/gantry"
        [[archive]]
        name = "first"
        [[archive]]
        name = "second"
        folder = "/mnt/second"
        [[entity]]
        name = "A"
        {SERVICE}
        [[entity]]
        name = "B"
        title = "BEE"
        archive = "second"
        port = 0
        [[peer]]
        name = "P"
        [[peer]]
        name = "Q"
        entity = "B"
        [[peer]]
        name = "R"
        entity = "B"
        calling_title = "OTHER"
        """,
    )
    assert [each.folder for each in configuration.archives] == [
        "/srv/gantry/archive/first",
        "/mnt/second",
    ]
    assert [each.archive for each in configuration.entities] == ["first", "second"]
    assert [(each.entity, each.calling_title) for each in configuration.peers] == [
        ("A", "A"),
        ("B", "BEE"),
        ("B", "OTHER"),
    ]
    assert configuration.entity("B") is configuration.entities[1]
    assert configuration.peer("none") is None
    assert configuration.peer_calling("Q") is configuration.peers[1]


CONTRADICTIONS = {
    "a title twice on one port": (
        f'[[entity]]\nname="A"\ntitle="T"{SERVICE}[[entity]]\nname="B"\ntitle="T"{SERVICE}',
        "entity.B.title",
    ),
    "TLS and plain on one port": (
        f'[[entity]]\nname="A"{SERVICE}[[entity]]\nname="B"\n[entity.tls]\n'
        f'certificate="/c.pem"{SERVICE}',
        "entity.B.tls",
    ),
    "two that take any called title on one port": (
        f'[[entity]]\nname="A"\n[entity.accept]\ncalled_title=false{SERVICE}'
        f'[[entity]]\nname="B"\n[entity.accept]\ncalled_title=false{SERVICE}',
        "entity.B.accept.called_title",
    ),
    "other socket options on one port": (
        f'[[entity]]\nname="A"{SERVICE}[[entity]]\nname="B"\n[entity.socket]\nbacklog=7{SERVICE}',
        "entity.B.socket",
    ),
    "a server without a certificate": (
        f'[[entity]]\nname="A"\n[entity.tls]\n{SERVICE}',
        "entity.A.tls.certificate",
    ),
    "an entity that listens for nothing": ('[[entity]]\nname="A"', "entity.A.service"),
    "an unknown archive": (f'[[entity]]\nname="A"\narchive="X"{SERVICE}', "entity.A.archive"),
    "an unknown onward peer": (
        f'[[entity]]\nname="A"\n[entity.storage]\nonward="X"{SERVICE}',
        "entity.A.storage.onward",
    ),
    "a signature level without level 2": (
        f'[[entity]]\nname="A"\n[entity.storage]\nlevel=1\nsignature_level=1{SERVICE}',
        "entity.A.storage.signature_level",
    ),
    "nobody may ever call": (
        f'[[entity]]\nname="A"\n[entity.accept]\ncalling="titles"{SERVICE}',
        "entity.A.accept.calling_titles",
    ),
    "a name too long for a title": (
        f'[[entity]]\nname="SEVENTEEN_LETTERS"{SERVICE}',
        "entity.SEVENTEEN_LETTERS.title",
    ),
    "two of one name in one file": ('[[peer]]\nname="A"\n[[peer]]\nname="A"', "peer.A"),
    "a table without a name": ("[[peer]]\nfirst_again=1", "peer.1.name"),
    "a table that is no list": ("[peer.PACS]\n", "peer"),
    "an unknown entity": ('[[peer]]\nname="A"\nentity="X"', "peer.A.entity"),
    "a title of two peers": ('[[peer]]\nname="A"\n[[peer]]\nname="B"\ntitle="A"', "peer.B.title"),
    "liked and never proposed": (
        '[[peer]]\nname="A"\ntransfer_syntaxes=["rle"]\nnever_propose=["rle"]',
        "peer.A.never_propose",
    ),
    "two associations with one that cannot": (
        '[[peer]]\nname="A"\n[peer.window]\nassociations=2\n[peer.quirks]\nsingle_association=true',
        "peer.A.window.associations",
    ),
    "a longest wait below the first": (
        "[delivery.retry]\nfirst=10\nlongest=5",
        "delivery.retry.longest",
    ),
    "watermarks the wrong way round": (
        '[[archive]]\nname="a"\nhigh_watermark=0.5',
        "archive.a.low_watermark",
    ),
    "an archive within another": (
        '[[archive]]\nname="a"\nfolder="/x"\n[[archive]]\nname="b"\nfolder="/x/y"',
        "archive.b.folder",
    ),
    "older than age and younger than keep": (
        '[[archive]]\nname="a"\n[archive.retention]\ndelete="by-age"\nage=1\nkeep=2',
        "archive.a.retention.age",
    ),
    "delivery to nobody": ('[[route]]\nname="r"\ndeliver=["X"]', "route.r.deliver"),
    "delivery to a peer without an address": (
        '[[peer]]\nname="A"\n[[route]]\nname="r"\ndeliver=["A"]',
        "route.r.deliver",
    ),
    "delivery to a peer that is switched off": (
        '[[peer]]\nname="A"\nenabled=false\n[[route]]\nname="r"\ndeliver=["A"]',
        "route.r.deliver",
    ),
    "drop and hold": ('[[route]]\nname="r"\ndrop=true\nhold=true', "route.r.drop"),
    "a condition without a test": (
        '[[route]]\nname="r"\n[[route.match.attribute]]\nattribute="PatientID"',
        "route.r.match.attribute.1",
    ),
    "a condition with two tests": (
        '[[route]]\nname="r"\n[[route.match.attribute]]\nattribute="PatientID"\n'
        'equals="A"\nexists=true',
        "route.r.match.attribute.1",
    ),
    "a change without an action": (
        '[[route]]\nname="r"\nchange=[{attribute="PatientID"}]',
        "route.r.change.1",
    ),
    "a default for no map": (
        '[[route]]\nname="r"\nchange=[{attribute="PatientID", set="A", otherwise="B"}]',
        "route.r.change.1.otherwise",
    ),
    "an attribute of the file meta group": (
        '[[route]]\nname="r"\nchange=[{attribute="0002,0010", set="A"}]',
        "route.r.change.1.attribute",
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_contradiction_is_refused_at_its_key(tmp_path: Path, case: str) -> None:
    text, key = CONTRADICTIONS[case]
    problems = problems_of(tmp_path, text)
    assert list(problems) == [key]
    assert problems[key].line


def test_entities_may_share_a_port_by_title_or_by_address(tmp_path: Path) -> None:
    assert not problems_of(
        tmp_path,
        f'[[entity]]\nname="A"{SERVICE}[[entity]]\nname="B"{SERVICE}'
        f'[[entity]]\nname="C"\naddresses="127.0.0.1"\nport=104{SERVICE}'
        f'[[entity]]\nname="D"\ntitle="C"\naddresses="127.0.0.2"\nport=104{SERVICE}',
    )


def test_ps34_017_on_receipt_only_attributes_of_table_b_4_1_may_be_changed(tmp_path: Path) -> None:
    entity = f'[[entity]]\nname="A"\n[entity.storage]\ncoercion=1\n{SERVICE}'
    for attribute in (
        "PatientID",
        "IssuerOfPatientID",
        "0010,1002",
        "(0020,000D)",
        "SeriesInstanceUID",
    ):
        change = f'on_receipt=[{{attribute="{attribute}", delete=true}}]'
        assert not problems_of(tmp_path, f'{entity}[[route]]\nname="r"\n{change}')
    problems = problems_of(
        tmp_path, f'{entity}[[route]]\nname="r"\non_receipt=[{{attribute="Modality", set="CT"}}]'
    )
    (problem,) = problems.values()
    assert "PS3.4 B.4.1.3" in problem.message
    assert "PatientID" in problem.allowed


def test_ps34_018_coercion_that_is_configured_must_be_what_negotiation_tells(
    tmp_path: Path,
) -> None:
    entity = '[[entity]]\nname="A"\n[[entity.service]]\nname="storage"\n'
    route = '[[route]]\nname="r"\non_receipt=[{attribute="PatientID", set="1"}]\n'
    assert list(problems_of(tmp_path, entity + route)) == ["entity.A.storage.coercion"]
    assert not problems_of(tmp_path, entity + route, "entity.A.storage.coercion=1")
    other = '[[entity]]\nname="B"\nport=0\n[route.match]\nentity="B"\n'
    assert not problems_of(
        tmp_path,
        entity
        + other.replace("[route.match]\nentity", "#")
        + route
        + '[route.match]\nentity="B"\n',
    )


def test_one_mistake_is_one_problem_and_not_one_for_each_reference(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path,
        """
        [[peer]]
        name = "PACS"
        addresses = ["192.0.2.1:104"]
        colour = "red"
        [peer.window]
        associations = 0
        [[route]]
        name = "r"
        deliver = ["PACS"]
        """,
    )
    assert set(problems) == {"peer.PACS.colour", "peer.PACS.window.associations"}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("entity = 5", "entity"),
        ("entity = [1, 2]", "entity"),
        ('[[entity]]\nname = ""', "entity.1.name"),
        ("node = []", "node"),
        ('[[route]]\nname = "r"\nmatch = 3', "route.r.match"),
        ('[[entity]]\nname = "A"\nservice = { name = "storage" }', "entity.A.service"),
        ('[[peer]]\nname = "a b"', 'peer."a b".name'),
        ('[archive]\nname = "m"', "archive"),
        ("origin = 1", "origin"),
        ("[delivery.retry]\nage = inf", "delivery.retry.age"),
    ],
)
def test_a_value_of_a_wrong_shape_is_one_problem(tmp_path: Path, text: str, key: str) -> None:
    assert list(problems_of(tmp_path, text)) == [key]


def test_a_secret_is_named_by_its_place_and_never_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = f'[[entity]]\nname="A"\n{SERVICE}[entity.tls]\ncertificate="/c.pem"\n'
    with pytest.raises(ConfigurationErrors) as caught:
        load_text(tmp_path, f'{head}passphrase="hunter2"\n', "entity.A.tls.pasphrase=hunter2")
    assert "hunter2" not in str(caught.value)
    assert "LoadCredential" not in str(caught.value)
    (tmp_path / "pin").write_text("geheim\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for place in ('{ credential = "pin" }', f'{{ file = "{tmp_path}/pin" }}'):
        tls = load_text(tmp_path, f"{head}passphrase={place}\n").entities[0].tls
        assert tls is not None
        assert tls.passphrase.read() == b"geheim"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    tls = load_text(tmp_path, f'{head}passphrase={{ credential = "pin" }}\n').entities[0].tls
    assert tls is not None
    with pytest.raises(Exception, match="systemd handed over no credentials"):
        tls.passphrase.read()
    for place in (
        '{ file = "relative" }',
        '{ credential = "../x" }',
        "{}",
        '{ file = "/a", b = 1 }',
    ):
        assert problems_of(tmp_path, f"{head}passphrase={place}\n")


def test_route_tests_and_changes_are_read(tmp_path: Path) -> None:
    configuration = load_text(
        tmp_path,
        """
        [[peer]]
        name = "PACS"
        addresses = ["192.0.2.1:104", "[2001:db8::1]:104"]
        [[route]]
        name = "heads"
        deliver = ["PACS"]
        priority = 5
        delay = "10 s"
        [route.match]
        modality = ["CT", "MR"]
        source = "network"
        sop_class = "CTImageStorage"
        attribute = [
            { attribute = "OperatorsName", wildcard = "M*" },
            { attribute = "0018,0015", one_of = ["HEAD", "NECK"], not = true },
            { attribute = "StudyDescription", regex = "CT [0-9]+" },
        ]
        [[route.change]]
        attribute = "InstitutionName"
        set = "St. Elsewhere"
        [[route.change]]
        attribute = "StationName"
        map = { A = "B" }
        otherwise = "C"
        [[route.change]]
        attribute = "0009,1001"
        delete = true
        """,
    )
    (route,) = configuration.routes
    assert [each.test for each in route.match.conditions] == ["wildcard", "one_of", "regex"]
    assert [each.negate for each in route.match.conditions] == [False, True, False]
    assert route.match.conditions[0].attribute == 0x0008_1070
    assert [each.action for each in route.changes] == ["set", "map", "delete"]
    assert route.changes[1].map == {"A": "B"}
    assert route.match.sop_classes == ("1.2.840.10008.5.1.4.1.1.2",)
    assert (route.priority, route.delay) == (5, 10.0)


def test_what_is_loaded_is_frozen() -> None:
    configuration = load(files=[])
    with pytest.raises(AttributeError):
        configuration.node.name = "other"  # type: ignore[misc]
    assert isinstance(configuration, Configuration)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[signatures]\nsigning_key="/k"\n', "signatures.signing_certificate"),
        ('[signatures]\nsigning_certificate="/c"\n', "signatures.signing_key"),
        ('[[capture]]\nname="us"\nsign=true\n', "capture.us.sign"),
        (
            f'[[entity]]\nname="A"\n[entity.storage]\nsignature_level=2{SERVICE}',
            "entity.A.storage.signature_level",
        ),
        (
            '[signatures]\nsigning_key="/k"\nsigning_certificate="/c"\ntrust=["/t"]\n'
            f'replace=true\n[[entity]]\nname="A"\n[entity.storage]\nsignature_level=2{SERVICE}',
            "entity.A.storage.signature_level",
        ),
        ('[signatures]\nreplace=true\ntrust=["/t"]\n', "signatures.replace"),
        (
            f'[[entity]]\nname="A"\n[entity.storage]\nsignatures="require"{SERVICE}',
            "entity.A.storage.signatures",
        ),
    ],
)
def test_signatures_that_cannot_be_meant_are_told(text: str, key: str, tmp_path: Path) -> None:
    assert list(problems_of(tmp_path, text)) == [key]


def test_signatures_that_can_be_meant_are_taken(tmp_path: Path) -> None:
    assert not problems_of(
        tmp_path,
        '[signatures]\nsigning_key="/k"\nsigning_certificate="/c"\ntrust=["/t"]\n'
        '[[capture]]\nname="us"\nsign=true\n'
        f'[[entity]]\nname="A"\n[entity.storage]\nsignatures="require"{SERVICE}',
    )
