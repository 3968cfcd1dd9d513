"""Lines on the control socket, through all questions, asked of a node that takes everything."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from functools import cache
from typing import Any, cast

from agent.control import ControlSocket
from agent.node import Node
from agent.questions import answers_of
from agent.security.operators import Person
from tests.fuzz.target import Target

_DEFECT = "the node failed to answer"
_ROOT = Person(0, frozenset())


class _Anything:
    """Whatever the questions ask of the node: it has all names, can be called, waited for and gone
    through, and is a number and a text."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()

    def __call__(self, *_: object, **__: object) -> Any:
        return _Anything()

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from ()
        return _Anything()

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __getitem__(self, key: object) -> Any:
        return _Anything()

    def __contains__(self, key: object) -> bool:
        return True

    def __add__(self, other: object) -> Any:
        return self

    def __float__(self) -> float:
        return 0.0

    def __rsub__(self, other: object) -> float:
        return 0.0

    def __str__(self) -> str:
        return "anything"


class _Node(_Anything):
    archives: Mapping[str, Any] = {"main": _Anything()}
    delivery = None


@cache
def _socket() -> ControlSocket:
    made = ControlSocket.__new__(ControlSocket)
    made._answers = answers_of(cast(Node, _Node()))
    return made


def run(data: bytes) -> None:
    """The line as it was read; the answer must be a line of JSON that tells of no defect."""
    answering = _socket()._answer(data, _ROOT)
    try:
        answering.send(None)
    except StopIteration as done:
        said = json.loads(done.value)
        assert said["ok"] or not said["error"].startswith(_DEFECT), said["error"]
        return
    answering.close()


def seeds() -> Iterator[bytes]:
    """Every question with every field that some question has, of each kind of JSON."""
    fields: dict[str, Any] = {
        "archive": "main",
        "state": "held",
        "destination": "PACS",
        "jobs": [1, 2],
        "limit": 10,
        "after": 0,
        "level": "STUDY",
        "uid": "1.2.3",
        "study_instance_uid": "1.2.3",
        "changes": {"PatientID": "1"},
        "keys": {"AccessionNumber": "A1"},
        "id": 1,
        "device": "",
        "stills": 1,
        "clips": 0,
        "studies": ["1.2.3"],
        "root": "/media/stick",
        "query": {"PatientID": "1"},
        "reason": "",
    }
    for name in _socket()._answers:
        yield json.dumps({"do": name, **fields}).encode()
        yield json.dumps({"do": name}).encode()
    odd_ones: tuple[Any, ...] = (
        None,
        True,
        -1,
        1.5,
        10**30,
        "x",
        "\ud800",
        [],
        {},
        [[]],
        {"a": {}},
    )
    for odd in odd_ones:
        for name in fields:
            for question in ("queue", "studies", "capture", "export-begin", "re-identify"):
                yield json.dumps({"do": question, **fields, name: odd}).encode()
    yield b"[" * 60000
    yield b'{"do": [1]}'


TARGET = Target(run, seeds)
