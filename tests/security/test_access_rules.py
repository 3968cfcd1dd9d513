"""Access rules: which rule decides, for whom, and what a caller is told who may have nothing."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from agent.configuration.access import OPERATIONS
from agent.configuration.configuration import Configuration
from agent.configuration.distinguished_name import parse, written
from agent.configuration.load import load
from agent.configuration.problems import ConfigurationErrors
from agent.network.commands import MESSAGES, RESPONSE
from agent.network.peer_certificate import PeerCertificate
from agent.network.rejection import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    NO_REASON_GIVEN,
    USER_IDENTITY_NOT_AUTHORIZED,
)
from agent.security.access_rules import SERVICE_OPERATIONS, AccessRules, Verdict
from agent.security.applicant import Applicant
from agent.security.wildcard import fits
from agent.services.catalogue import services
from agent.vocabulary import vocabulary

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
CERTIFICATE = PeerCertificate(
    (("C", "DE"), ("O", "Hospital"), ("CN", "ct1.example")),
    (("CN", "Hospital CA"),),
    fingerprint="ab" * 32,
)

_numbers = itertools.count(1)


def configured(tmp_path: Path, text: str) -> Configuration:
    file = tmp_path / "gantry.toml"
    file.write_text(f'profile = "gateway"\n{text}')
    return load(files=[file], vocabulary=vocabulary())


def rules(tmp_path: Path, text: str) -> AccessRules:
    more = '[[entity]]\nname = "GANTRY"\naccept = { identity = { wanted = "optional" } }\n'
    more += '[identity]\npasscodes = "/etc/gantry/passcodes"\n'
    return AccessRules(configured(tmp_path, more + text).access)


def rule(**conditions: Any) -> str:
    lines = [f'[[access.rule]]\nname = "rule-{next(_numbers)}"\n']
    for name, value in conditions.items():
        shown = str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')
        lines.append(f"{name} = {shown}\n")
    return "".join(lines)


def caller(calling: str = "CT1", address: str = "192.0.2.7", **more: Any) -> Applicant:
    return Applicant("GANTRY", calling, address, **more)


def stores(found: AccessRules, applicant: Applicant, sop_class: str = CT) -> bool:
    grants = found.grants("GANTRY", applicant)
    return bool(grants.operations("storage", "scp", sop_class))


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"calling": "CT*"}, caller(), caller("MR1")),
        ({"calling": ["MR1", "CT1"]}, caller(), caller("ct1")),
        ({"called": "GANTRY"}, caller(), Applicant("OTHER", "CT1", "192.0.2.7")),
        ({"entity": "GANTRY"}, caller(), None),
        ({"network": "192.0.2.0/24"}, caller(), caller(address="192.0.3.7")),
        ({"network": "192.0.2.7"}, caller(), caller(address="192.0.2.70")),
        (
            {"network": ["2001:db8::/32"]},
            caller(address="2001:db8:1::5"),
            caller(address="2001:db9::1"),
        ),
        ({"network": "fe80::/10"}, caller(address="fe80::1%eth0"), caller()),
        ({"subject": "cn=CT1.*, O=hospital"}, caller(certificate=CERTIFICATE), caller()),
        ({"subject": "CN=*"}, caller(certificate=CERTIFICATE), caller()),
        (
            {"issuer": "CN=Hospital CA"},
            caller(certificate=CERTIFICATE),
            caller(certificate=PeerCertificate(CERTIFICATE.subject, (("CN", "Other CA"),))),
        ),
        (
            {"fingerprint": ":".join(["AB"] * 32)},
            caller(certificate=CERTIFICATE),
            caller(certificate=PeerCertificate(fingerprint="ac" * 32)),
        ),
        ({"user": "anna"}, caller(user="anna", identity="jwt"), caller(user="anna")),
        ({"user": "*@h.example"}, caller(user="a@h.example", identity="jwt"), caller()),
        (
            {"identity": "kerberos"},
            caller(user="anna", identity="kerberos"),
            caller(user="anna", identity="jwt"),
        ),
    ],
)
def test_a_rule_fits_when_its_condition_holds_and_not_else(
    tmp_path: Path, condition: dict[str, Any], good: Applicant, bad: Applicant | None
) -> None:
    found = rules(tmp_path, rule(**condition))
    assert stores(found, good)
    if bad is not None:
        assert not stores(found, bad)
        assert found.grants("GANTRY", bad).is_nothing
    else:
        assert found.grants("ELSEWHERE", good).is_nothing


def test_without_rules_everything_is_left_to_accept(tmp_path: Path) -> None:
    assert stores(rules(tmp_path, ""), caller())
    assert not rules(tmp_path, "")


def test_who_is_in_no_rule_gets_what_otherwise_says(tmp_path: Path) -> None:
    other = rule(calling="MR1")
    assert not stores(rules(tmp_path, other), caller())
    assert stores(rules(tmp_path, f'[access]\notherwise = "allow"\n{other}'), caller())


def test_the_first_rule_that_fits_decides(tmp_path: Path) -> None:
    shut, open_ = rule(calling="CT1", allow=False, sop_class=MR), rule(calling="CT*")
    first, second = rules(tmp_path, shut + open_), rules(tmp_path, open_ + shut)
    assert (stores(first, caller(), CT), stores(first, caller(), MR)) == (True, False)
    assert stores(second, caller(), MR)


def test_operations_are_decided_one_by_one(tmp_path: Path) -> None:
    found = rules(
        tmp_path,
        rule(operation=["N-CREATE"], allow=False)
        + rule(service="performed-step", operation=["N-SET", "N-CREATE"]),
    )
    grants = found.grants("GANTRY", caller())
    assert grants.operations("performed-step", "scp", "1") == {"N-SET"}
    verdicts = grants.verdicts("performed-step", "scp", "1")
    assert [(each.allow, each.operations) for each in verdicts] == [
        (False, {"N-CREATE"}),
        (True, {"N-SET"}),
        (False, {"N-GET"}),
    ]
    assert verdicts[-1] == Verdict("otherwise", False, frozenset(("N-GET",)))


@pytest.mark.parametrize(
    ("text", "applicant", "told"),
    [
        (rule(calling="MR1"), caller(), ("calling", CALLING_AE_TITLE_NOT_RECOGNIZED)),
        (rule(called="OTHER"), caller(), ("called", CALLED_AE_TITLE_NOT_RECOGNIZED)),
        (rule(calling="CT1", network="10.0.0.1"), caller(), ("network", NO_REASON_GIVEN)),
        (rule(subject="CN=ct1"), caller(), ("certificate", NO_REASON_GIVEN)),
        (rule(user="anna"), caller(), ("user", USER_IDENTITY_NOT_AUTHORIZED)),
        (
            rule(calling="MR1", network="10.0.0.1"),
            caller(),
            ("calling", CALLING_AE_TITLE_NOT_RECOGNIZED),
        ),
        (rule(allow=False, calling="CT1"), caller(), ("calling", CALLING_AE_TITLE_NOT_RECOGNIZED)),
        (rule(allow=False, network="192.0.2.0/24"), caller(), ("network", NO_REASON_GIVEN)),
    ],
)
def test_who_may_have_nothing_learns_what_is_wrong(
    tmp_path: Path, text: str, applicant: Applicant, told: tuple[str, Any]
) -> None:
    found = rules(tmp_path, text)
    assert found.grants("GANTRY", applicant).is_nothing
    assert found.rejection("GANTRY", applicant) == told


def test_every_service_has_its_operations_and_every_operation_is_one_of_ps37() -> None:
    assert set(SERVICE_OPERATIONS) == set(services())
    known = {row.name.removesuffix("-RQ") for field, row in MESSAGES.items() if field < RESPONSE}
    assert set(OPERATIONS) == known - {"C-CANCEL"}
    assert all(each <= set(OPERATIONS) for each in SERVICE_OPERATIONS.values())


@pytest.mark.parametrize(
    ("pattern", "text", "good"),
    [
        ("CT1", "CT1", True),
        ("CT1", "CT12", False),
        ("*", "", True),
        ("a*b*c", "aXbXc", True),
        ("a*b*c", "aXc", False),
        ("ab*ba", "aba", False),
        ("*aa*aa*", "aaa", False),
        ("a.c", "abc", False),
    ],
)
def test_an_asterisk_fits_anything_and_nothing_else_is_special(
    pattern: str, text: str, good: bool
) -> None:
    assert fits(pattern, text) is good


def test_a_pattern_of_asterisks_takes_no_time() -> None:
    import time

    begun = time.process_time()
    assert not fits("*a" * 120 + "b", "a" * 4096)
    assert time.process_time() - begun < 0.5


def test_names_of_certificates_are_read_as_rfc_4514_writes_them() -> None:
    name = (("C", "DE"), ("O", "Smith, Jones + Co"), ("CN", "ct1"))
    assert written(name) == "CN=ct1,O=Smith\\, Jones \\+ Co,C=DE"
    assert parse(written(name)) == tuple(reversed(name))
    assert parse("commonName = ct1 + organizationName=Hospital") == (
        ("CN", "ct1"),
        ("O", "Hospital"),
    )
    with pytest.raises(ValueError, match="not of the form"):
        parse("CN=ct1,,O=x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[access.rule]]\nname = "a"\nuser = "anna"\n', "every entity ignores user identities"),
        ('[[access.rule]]\nname = "a"\nentity = "NONE"\n', "there is no entity 'NONE'"),
        ('[[access.rule]]\nname = "a"\nnetwork = "ct1.example"\n', "who answers for names"),
        ('[[access.rule]]\nname = "a"\nsubject = "ct1"\n', "not of the form NAME=VALUE"),
        ('[[access.rule]]\nname = "a"\nfingerprint = "ab"\n', "SHA-256"),
        ('[[access.rule]]\nname = "a"\noperation = "C-SHOUT"\n', "C-STORE"),
        ('[[access.rule]]\nname = "a"\nservice = "storag"\n', "did you mean"),
        ('[[access.operator]]\nname = "a"\nquestions = ["statu"]\n', "there is no question"),
        (
            '[[entity]]\nname = "GANTRY"\naccept = { identity = { wanted = "required" } }\n',
            "nobody knows such identities",
        ),
        ('[identity.verifier]\nprogram = ["verify"]\n', "an absolute path"),
        (
            '[identity.verifier]\nprogram = ["/bin/a"]\nsocket = "/run/b"\n',
            "is one verifier, `program` another",
        ),
        ('[[peer]]\nname = "P"\n[peer.identity]\nkind = "username"\n', "is empty"),
        ('[[peer]]\nname = "P"\n[peer.identity]\nkind = "jwt"\n', "is missing, and jwt is one"),
        (
            '[[peer]]\nname = "P"\n[peer.identity]\nkind = "jwt"\nsecret = "geheim"\n',
            "a secret is not written into the configuration",
        ),
    ],
)
def test_what_makes_no_sense_is_told_when_the_configuration_is_read(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ConfigurationErrors) as caught:
        configured(tmp_path, text)
    assert told in str(caught.value)
