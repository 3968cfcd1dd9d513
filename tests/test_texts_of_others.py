"""What others wrote is marked in every sentence of ours, held against the source.

A log leaves out what is marked (`agent/quoting.py`). So each gap of an f-string in an error, in a
comment on a status or in a `Sentence` is either `quoted(...)`, or is known to be ours: a number, a
word of the program, a name that the configuration gives. What is known stands in the tables here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parents[1]

# Where no text of others comes: what persons type and see, the configuration, pixels. What drivers
# say is marked where the node takes it over.
ELSEWHERE = ("agent/cli/", "agent/configuration/", "agent/codecs/", "agent/conformance")

# Makers of sentences, and which of their arguments is one.
MAKERS = {
    "Sentence": {"marked": 0},
    "StatusReaction": {"comment": 1},
    "Verdict": {"comment": 1},
    "Answer": {"comment": 1},
    "_Fault": {"reason": 1},
    "refuse": {"message": 0},  # That of agent/dataset/window.py.
    "Response": {"comment": 1},
}
ERROR = {"message": 0, "way_out": 9}
SAFE_CALLS = re.compile(
    r"_CERTIFICATE_WAYS_OUT.get|Sentence|quoted|len|type|(tags\.)?(format_tag|name_of|keyword_of)|reject_text|status_text"
)
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
NUMBER = re.compile(r"[dxXgfe%,]['\"]?$")
CONSTANT = re.compile(r"_?[A-Z][A-Z_]+(\[.*\])?|type\(\w+\)\.__name__")

# Gaps by what they hold; an expression stands for itself, wherever it is.
OURS = """
names of the configuration
agent/archive/storage_client.py: self.name
agent/front_door.py: address
agent/front_door.py: told
agent/network/connection.py: host
agent/security/audit_transport.py: host
table.name
self._table.name
self.tls.key_name
peer.name
self._peer.name
entity.name
key.path
table.secret.path
settings.volume
configuration.node.state
mail.host
server.host
person.user
agent/archive/identity.py: folder
agent/archive/identity.py: path
agent/security/credentials.py: each
agent/security/credentials.py: file.path
agent/security/credentials.py: path
agent/admittance.py: why
agent/security/lock_out.py: name
self._settings.kind
tls.profile
agent/workflow/outgoing.py: name
agent/workflow/export.py: name
agent/control.py: group
agent/control.py: path
agent/figures.py: now.file
agent/archive/recovery.py: str(path)
agent/media/sealed_stream.py: path.name
agent/workflow/backup.py: where
agent/workflow/certificate_watch.py: each.path
agent/workflow/certificate_watch.py: each.problem
agent/workflow/study_rules.py: ', '.join(found.truncated)
agent/workflow/study_rules.py: self._file
agent/workflow/worklist_watch.py: str(self._file)
agent/security/signed_data.py: signer.subject.rfc4514_string()
agent/security/verifier.py: user
agent/security/enrolment.py: self._host
agent/security/audit_transport.py: where
agent/security/signature_keys.py: certificate
agent/security/signed_data.py: certificate
agent/security/access_rules.py: self._otherwise
agent/security/access_rules.py: rule.table.allow
agent/security/confidentiality_actions.py: unknown[0]

words of the standard and of the program
agent/archive/failure.py: step
agent/archive/index_failure.py: step
agent/archive/selection.py: each.unique
agent/archive/selection.py: keyword
agent/archive/selection.py: level
agent/archive/query_identifier.py: level
agent/archive/query_identifier.py: wanted
agent/archive/query_identifier.py: comment
agent/dataset/attributes.py: vr
agent/dataset/attributes_encoding.py: vr
agent/dataset/character_set.py: vr
agent/dataset/element_encoding.py: vr
agent/dataset/file_meta.py: actual
agent/dataset/file_meta.py: found
agent/dataset/file_meta.py: name
agent/dataset/json_model.py: vr
agent/dataset/value_representations.py: vr
agent/objects/usable_values.py: vr
agent/workflow/examination.py: '; '.join(wrong)
agent/workflow/examination_entry.py: '; '.join(mended)
agent/loop/calls.py: self.name
agent/loop/processes.py: argv[0]
agent/loop/signals.py: name
agent/loop/service.py: self.name
agent/loop/task.py: self.name
agent/loop/workers.py: self.kind
agent/objects/given.py: keyword
agent/objects/head.py: vr
agent/objects/request_attributes.py: keyword
agent/security/cms.py: identifier
agent/security/der.py: self._what
agent/security/reidentification.py: content_syntax
agent/services/instance_listing.py: level
agent/services/query_request.py: each.name
agent/services/query_request.py: each.unique
agent/services/query_request.py: level
agent/services/query_request.py: levels
agent/workflow/deidentified_copy.py: vr
agent/workflow/export_planning.py: keyword
agent/workflow/undertakings.py: self.name
error.strerror
profile.name
profile.title
profile.unavailable
self.profile.title
model.name
kind.name
row.keyword
key.keyword
message.name
call.name
syntax.name
pixel_format
pixels.photometric_interpretation
source.value_type
target.value_type
target.relationship
self.mac_algorithm
state.reason
', '.join(absent)
', '.join(lacking)
', '.join(empty)
', '.join(absent + empty)
' and '.join((names[tag] for tag in wrong))
errno.errorcode.get(failed, failed)
described(hello)
described(location)
agent/archive/index.py: mode
agent/archive/index.py: synchronous
agent/archive/query_identifier.py: names
agent/dataset/writer.py: kind
agent/dataset/writer.py: level.kind
agent/dataset/writer.py: where
agent/media/disc_image.py: prefix
agent/network/association.py: event.reject
agent/network/commands.py: numbers
agent/network/handed_sockets.py: each.problem
agent/network/revocation.py: standing.why
agent/network/tls_context.py: until
agent/network/openssl_library.py: ', '.join(suites)
agent/objects/head.py: module
agent/objects/procedural_note.py: kind
agent/objects/transcoding.py: reason[0].upper()
agent/objects/transcoding.py: reason[1:]
agent/security/permitted_offer.py: operation
agent/security/refusals.py: reason
agent/security/verifier.py: who
agent/services/media_creation.py: _COMMENTS.get(status, '')
agent/workflow/audit_trail.py: fault
agent/workflow/operator.py: act
agent/workflow/retention.py: why
agent/workflow/export_conversion.py: reason
agent/workflow/fetching.py: failed
agent/workflow/settlement.py: tags
agent/workflow/signature_rule.py: comment
last.strerror
error.verify_message
need.abstract_syntax
found.sop_class_uid

settings.identity_record
index_failure.REBUILD
', '.join(sorted((*PROFILES, *MAIL_PROFILES)))
', '.join(allowed)
', '.join(known)
agent/network/connection.py: way_out
agent/network/item.py: way_out
agent/network/tls_failures.py: way_out
agent/archive/index.py: what
agent/network/association.py: what
agent/network/association.py: event.why
agent/network/connection.py: what
agent/network/item.py: message
agent/network/item.py: what
agent/network/tls.py: what
agent/network/tls_failures.py: words
agent/objects/dose_report.py: meaning
agent/objects/frame_selection.py: comment
agent/objects/transcoding.py: what
agent/security/cms.py: what
agent/security/der.py: reason
agent/services/data_sets.py: name
agent/workflow/deidentified_pixels.py: what

sentences, and what is made one
agent/archive/arrival.py: comment
agent/dataset/window.py: message
agent/errors.py: way_out
self.marked
error.marked
'; '.join((f'{quoted(each)}' for each in taken.remarks))
agent/errors.py: self.comment
agent/security/signature_verification.py: self.reason
agent/security/signature_verification.py: then.name
agent/security/signature_verification.py: now.name
agent/network/exchange.py: self.comment
agent/media/existing_directory.py: error.message.marked.rstrip('.')
'PS3.15 A.5.3 has no participant object of type {}, role {}, ID type {}'.format(*place)

words of drivers and servers that see no patient
agent/network/own_keys.py: error
agent/network/own_keys.py: self._refused[1]
agent/security/enrolment.py: after
agent/security/enrolment.py: kind
agent/workflow/camera.py: error
agent/workflow/keeping.py: kept.trouble
agent/workflow/capture_frames.py: error
agent/workflow/certificate_renewal.py: error
agent/workflow/operator.py: event.why
agent/workflow/operator.py: error
agent/workflow/operator_worker.py: error
agent/network/tls_context.py: fingerprint
event.why.replace(name, f'{_named(event.medium)}')
agent/workflow/folder_pickup.py: event.reason
agent/workflow/media_watch.py: event.why

numbers
agent/archive/migrations.py: version
agent/dataset/file_meta.py: position
agent/dataset/file_meta.py: stated_end
agent/media/directory_file.py: offset
agent/media/zip_reading.py: count
agent/media/zip_reading.py: entry.size
agent/media/zip_reading.py: size
agent/media/zip_reading.py: unpacked
agent/network/connection.py: port
agent/network/operations.py: context
agent/network/state_machine.py: self.state
agent/front_door.py: port
agent/objects/stored_image.py: compressed
agent/objects/stored_image.py: native
agent/security/pseudonyms.py: number
agent/security/signature_timestamp.py: number
agent/services/media_creation.py: most
agent/workflow/examination.py: number
agent/workflow/export_planning.py: limit
agent/workflow/export_planning.py: one.size
agent/workflow/export_targets.py: free
agent/workflow/export_targets.py: size
agent/workflow/export_verification.py: count
agent/workflow/export_volume.py: limit
agent/workflow/export_volume.py: size
agent/workflow/fetches.py: number
agent/workflow/undertakings.py: number
self._port
self._key.key_size
answer.status
ended.returncode
pixels.bits_stored
self.frames
self.fragments
pixels.bits_allocated
going.id
record.id
record.seen
record.expected
backup.version
"""


@dataclass
class Call:
    """A call, the name that is called, and the function that it is in."""

    node: ast.Call
    name: str
    is_own: bool
    within: Function | None


class Source:
    """A module, and the makers that it has of its own: private functions that put a parameter into
    a sentence and do nothing else with it. What they are handed is part of a sentence."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.tree = ast.parse(text)
        self.makers: dict[str, dict[str, int]] = {}
        self.calls: list[Call] = []
        self.methods: set[int] = set()
        self.uses_refuse = "agent.dataset.window import" in text
        self._look(self.tree, None)
        while self._learn():
            continue

    def _look(self, node: ast.AST, within: Function | None) -> None:
        for each in ast.iter_child_nodes(node):
            if isinstance(each, ast.Call):
                called = each.func
                if isinstance(called, ast.Attribute):
                    is_own = isinstance(called.value, ast.Name) and called.value.id == "self"
                    self.calls.append(Call(each, called.attr, is_own, within))
                elif isinstance(called, ast.Name):
                    self.calls.append(Call(each, called.id, True, within))
            is_function = isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and isinstance(node, ast.ClassDef):
                self.methods.add(id(each))
            self._look(each, each if is_function else within)

    def sentences(self) -> Iterator[tuple[Call, ast.expr]]:
        """Everything that is said in it."""
        for call in self.calls:
            places = MAKERS.get(call.name) or (ERROR if call.name in errors() else {})
            if call.name == "refuse" and not self.uses_refuse:
                continue
            if call.is_own and not places:
                places = self.makers.get(call.name, {})
            for word, place in places.items():
                if len(call.node.args) > place:
                    yield call, call.node.args[place]
                yield from ((call, each.value) for each in call.node.keywords if each.arg == word)

    def _learn(self) -> bool:
        """Find makers; whether there were new ones."""
        handed: dict[tuple[int, str], set[int]] = {}
        functions: dict[int, Function] = {}
        for call, value in self.sentences():
            # What other modules call is not looked through there.
            if call.within is not None and call.within.name.startswith("_"):
                functions[id(call.within)] = call.within
                for part in parts(value):
                    if isinstance(part, ast.Name):
                        handed.setdefault((id(call.within), part.id), set()).add(id(part))
        found = False
        for (number, name), nodes in handed.items():
            function = functions[number]
            names = [each.arg for each in function.args.args][number in self.methods :]
            known = self.makers.setdefault(function.name, {})
            if name in names and name not in known and _uses(function, name) == nodes:
                known[name] = names.index(name)
                found = True
        return found

    def unmarked(self) -> Iterator[str]:
        for call, value in self.sentences():
            for part in parts(value):
                if not self._is_known(part, call.within):
                    yield f"{self.name}:{part.lineno}: {ast.unparse(part)}"

    def _is_known(self, part: ast.expr, function: Function | None) -> bool:
        """A parameter that callers answer for, or a variable that is given words of ours only."""
        if f"{self.name}: {ast.unparse(part)}" in ours():
            return True
        if function is None or not isinstance(part, ast.Name):
            return False
        if part.id in self.makers.get(function.name, {}):
            return True
        given = [
            each.value
            for each in ast.walk(function)
            if isinstance(each, ast.Assign) and ast.unparse(each.targets) == part.id
        ]
        stored = [
            each
            for each in ast.walk(function)
            if isinstance(each, ast.Name) and each.id == part.id and isinstance(each.ctx, ast.Store)
        ]
        return 0 < len(given) == len(stored) and not any(list(parts(each)) for each in given)

    def astray(self) -> Iterator[str]:
        """Marks that nobody takes out again: they are put into a text that is no sentence."""
        good: set[int] = set()
        values: list[ast.AST] = [value for _, value in self.sentences()]
        # Variables, and what functions give, are looked at where they come into a sentence.
        values += [
            node.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Assign | ast.AugAssign | ast.Return) and node.value
        ]
        for call in self.calls:
            if ast.unparse(call.node.func).startswith("observation."):
                values += [each.value for each in call.node.keywords]
        for value in values:
            good |= {id(each) for each in ast.walk(value)}
        for call in self.calls:
            if call.name == "quoted" and id(call.node) not in good:
                yield f"{self.name}:{call.node.lineno}: {ast.unparse(call.node)}"


def _uses(function: Function, name: str) -> set[int]:
    return {
        id(each)
        for each in ast.walk(function)
        if isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load)
    }


def parts(value: ast.expr) -> Iterator[ast.expr]:
    """What of a sentence is neither ours nor marked."""
    if isinstance(value, ast.JoinedStr):
        for gap in value.values:
            if isinstance(gap, ast.FormattedValue) and not _is_number(gap):
                yield from parts(gap.value)
    elif isinstance(value, ast.IfExp):
        yield from parts(value.body)
        yield from parts(value.orelse)
    elif isinstance(value, ast.BoolOp):
        for each in value.values:
            yield from parts(each)
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        yield from parts(value.left)
        yield from parts(value.right)
    elif isinstance(value, ast.Call) and SAFE_CALLS.fullmatch(ast.unparse(value.func)):
        return
    elif not isinstance(value, ast.Constant):
        text = ast.unparse(value)
        if text not in ours() and not CONSTANT.fullmatch(text):
            yield value


def _is_number(gap: ast.FormattedValue) -> bool:
    """By the way it is written, which no text could be."""
    return gap.format_spec is not None and bool(NUMBER.search(ast.unparse(gap.format_spec)))


@cache
def trees() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for path in sorted(ROOT.glob("agent/**/*.py"))
    }


@cache
def errors() -> frozenset[str]:
    """The classes below GantryError, by name."""
    above: dict[str, str] = {}
    for text in trees().values():
        above.update(re.findall(r"^class (\w+)\((.*)\):", text, re.MULTILINE))
    found = {"GantryError"}
    while (
        more := {name for name, bases in above.items() if found.intersection(bases.split(", "))}
        - found
    ):
        found |= more
    return frozenset(found)


@cache
def ours() -> frozenset[str]:
    return frozenset(line.strip() for line in OURS.split("\n"))


def test_every_text_of_others_is_marked() -> None:
    made = [Source(name, text) for name, text in trees().items() if not name.startswith(ELSEWHERE)]
    found = [each for module in made for each in module.unmarked()]
    assert not found, "mark it with `quoted`, or say in OURS what it is:\n" + "\n".join(found)
    assert [each for module in made for each in module.astray()] == []


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('raise PeerError(f"{text} is no date")', "text"),
        ('raise PeerError(f"{text!r} is no date")', "text"),
        ("raise StorageError(str(error))", "str(error)"),
        ('raise PeerError("wrong", reaction=StatusReaction(1, f"{value}"))', "value"),
        ('raise LocalError(text or "nothing")', "text"),
        ('raise LocalError(f"{text:>20}")', "text"),
        ('def f(path):\n    said = f"{path} is gone"\n    raise StorageError(said)', "said"),
        ('def _wrong(text):\n    return PeerError(f"{text}.")\n_wrong(name)', "name"),
        ('why = Sentence(f"{a} of {quoted(b)}")', "a"),
    ],
)
def test_what_is_not_marked_is_found(line: str, part: str) -> None:
    assert [each.rpartition(": ")[2] for each in Source("x", line).unmarked()] == [part]


@pytest.mark.parametrize(
    "line",
    [
        'raise PeerError(f"{quoted(text)} is no date of {table.name}: {len(text)}, {number:d}")',
        'def _wrong(text):\n    return PeerError(f"{text}.")\n_wrong("no date")',
        'def f(path):\n    said = "gone" if path else "there"\n    raise StorageError(said)',
    ],
)
def test_what_is_marked_or_ours_is_let_through(line: str) -> None:
    assert list(Source("x", line).unmarked()) == []
