"""Backup of a running box, and restore: nothing acknowledged is missing, and no cut does harm."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from agent.archive.backup import PREFIX
from agent.configuration.configuration import Configuration
from agent.configuration.keys import NamedKey
from agent.errors import StorageError
from agent.media.envelope import Envelope, Protection
from agent.media.opening import Keys
from agent.media.sealed_stream import SEGMENT, SealedReader, SealedWriter, SegmentFile
from agent.media.secure_file import SecureFiles
from agent.security.credentials import KeyFile
from agent.workflow import restore_placing
from agent.workflow.archive_tables import RESTORING
from agent.workflow.backup import ABOUT, DIGESTS
from agent.workflow.backup_contents import not_taken
from agent.workflow.restore import restore
from tests.cli_of import gantry
from tests.node.running import ENVIRONMENT, NodeProcess, free_port, peer_table
from tests.node.test_relay import made, store
from tests.peers.certificates import Certificates, make_certificates
from tests.peers.programs import program, run
from tests.peers.raw_pdu import proposed_context
from tests.peers.raw_peer import RawPeer

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


@dataclass
class Sender(threading.Thread):
    """Stores all the while; `done` is what was acknowledged."""

    node: NodeProcess
    done: dict[str, bytes] = field(default_factory=dict)
    ends: bool = False
    has_begun: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        with contextlib.closing(RawPeer.connect(self.node.port)) as peer:
            peer.associate(proposed_context(1, CT, EXPLICIT), called="GANTRY")
            number = 0
            while not self.ends:
                number += 1
                uid, data = made(number)
                if store(peer, number, data, uid) == 0:
                    self.done[uid] = data
                if number == 60:
                    self.has_begun.set()
            peer.release()


@dataclass
class Backed:
    """A box with a backup that was made while it was stored to, and what had been acknowledged."""

    node: NodeProcess
    folder: Path
    place: Path
    certificates: Certificates
    acknowledged: dict[str, bytes]
    output: str

    @property
    def state(self) -> Path:
        return self.node.folder / "state"

    @property
    def key(self) -> tuple[str, ...]:
        return ("--key", str(self.certificates.client.key))

    @cached_property
    def files(self) -> SecureFiles:
        return SecureFiles(Keys((KeyFile(str(self.certificates.client.key)),)))


@pytest.fixture(scope="module")
def backed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    folder = tmp_path_factory.mktemp("backup")
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    node = NodeProcess(folder / "node", peer_table("PACS", free_port()))
    (node.folder / "secret").write_text("open sesame")
    with node.configuration.open("a") as out:
        out.write(
            '[mail]\nhost = "localhost"\nfrom = "a@b.example"\nuser = "u"\n'
            f'secret = {{ file = "{node.folder}/secret" }}\n'
        )
    place = folder / "box.backup"
    with node:
        sender = Sender(node)
        sender.start()
        assert sender.has_begun.wait(60)
        acknowledged = dict(sender.done)
        words = ("--config", node.configuration, "--recipient", certificates.client.certificate)
        done = gantry("backup", place, *words)
        sender.ends = True
        sender.join(20)
        assert done.returncode == 0, done.output
        # All the while it went on.
        assert len(sender.done) > len(acknowledged)
        stick = folder / "stick"
        stick.mkdir()
        gantry("backup", stick, "--segments", *words).check()
    assert not list(node.folder.rglob(f"{PREFIX}*"))
    yield Backed(node, folder, place, certificates, acknowledged, done.output)


def objects_of(state: Path) -> set[bytes]:
    """The data sets, which are what the peer sent behind the file meta information."""
    return {path.read_bytes() for path in state.rglob("*.dcm")}


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def restored_node(backed: Backed, root: Path) -> NodeProcess:
    """A node on what was restored below another root: its configuration leads there."""
    before = str(backed.node.folder)
    there = root.joinpath(*backed.node.folder.parts[1:])
    node = NodeProcess(there)
    text = backed.node.configuration.read_text()
    text = text.replace(str(backed.node.control), str(root / "control"))
    node.configuration.write_text(text.replace(before, str(there)))
    node.control = root / "control"
    node.port = backed.node.port
    return node


def test_what_was_acknowledged_before_is_there_after_a_restore(
    backed: Backed, tmp_path: Path
) -> None:
    gantry("restore", backed.place, "--root", tmp_path, *backed.key).check()
    there = tmp_path.joinpath(*backed.node.folder.parts[1:])
    assert (there / "secret").read_text() == "open sesame"
    assert (there / "gantry.toml").read_bytes() == backed.node.configuration.read_bytes()
    assert not list(tmp_path.rglob(RESTORING))
    with restored_node(backed, tmp_path) as node:
        found = objects_of(node.folder)
        missing = [u for u, data in backed.acknowledged.items() if not _is_in(data, found)]
        assert missing == []
        status = node.ask("status")
        counts = status["archives"][0]["counts"]
        assert counts["instances"] == len(found) >= len(backed.acknowledged)
        # What was to be delivered still is.
        queue = node.queue("PACS")
        assert queue["waiting"] + queue["claimed"] == len(found)


def _is_in(data: bytes, found: set[bytes]) -> bool:
    return any(each.endswith(data) for each in found)


def test_a_folder_of_segments_is_a_backup_too(backed: Backed) -> None:
    (place,) = (backed.folder / "stick").iterdir()
    assert max(each.stat().st_size for each in place.iterdir()) < SEGMENT + (1 << 20)
    done = gantry("restore", place, "--check", *backed.key).check()
    assert "whole: " in done.output


def test_openssl_opens_a_backup_and_tar_reads_it(backed: Backed, tmp_path: Path) -> None:
    """What we have written nobody needs us to read."""
    openssl = program("openssl", "openssl")
    run(["tar", "xf", backed.place, "-C", tmp_path], seconds=30).check()
    whole = b""
    for segment in sorted(tmp_path.glob("*.p7m")):
        inner, plain = tmp_path / "inner", tmp_path / "plain"
        own = backed.certificates.client
        words = ["-inform", "DER", "-inkey", own.key, "-recip", own.certificate]
        run([openssl, "cms", "-decrypt", *words, "-in", segment, "-out", inner]).check()
        # The inner content is a bare DigestedData; openssl wants its ContentInfo around it.
        data = inner.read_bytes()
        kind = bytes.fromhex("06092A864886F70D010705")
        wrapped = _der(0x30, kind + _der(0xA0, data))
        inner.write_bytes(wrapped)
        run(
            [openssl, "cms", "-digest_verify", "-inform", "DER", "-in", inner, "-out", plain]
        ).check()
        whole += plain.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        names = tar.getnames()
    assert (names[0], names[-1]) == (ABOUT, DIGESTS)
    assert sum(each.endswith(".dcm") for each in names) >= len(backed.acknowledged)


def _der(tag: int, data: bytes) -> bytes:
    size = len(data).to_bytes(4, "big")
    return bytes((tag, 0x84)) + size + data


def test_nothing_is_plain_in_a_backup(backed: Backed) -> None:
    whole = backed.place.read_bytes()
    for word in (b"DICM", b"open sesame", b"SQLite format", b"gantry.toml", b"state/archive"):
        assert word not in whole


def test_a_state_that_is_there_is_replaced_only_when_that_is_said(
    backed: Backed, tmp_path: Path
) -> None:
    words = ("restore", backed.place, "--root", tmp_path, *backed.key)
    gantry(*words).check()
    state = tmp_path.joinpath(*backed.state.parts[1:])
    (state / "mine").write_text("later")
    before = content(tmp_path)
    done = gantry(*words)
    assert (done.returncode, "--replace" in done.output) == (1, True), done.output
    assert content(tmp_path) == before
    gantry(*words, "--replace").check()
    assert not (state / "mine").exists()
    del before[str((state / "mine").relative_to(tmp_path))]
    assert content(tmp_path) == before


def test_while_a_node_runs_nothing_is_restored(backed: Backed) -> None:
    with backed.node:
        done = gantry("restore", backed.place, "--replace", *backed.key)
        assert (done.returncode, "a node is running" in done.output) == (1, True), done.output
        assert backed.node.ask("status")


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_a_damaged_backup_changes_nothing(backed: Backed, tmp_path: Path, where: float) -> None:
    data = bytearray(backed.place.read_bytes())
    data[int(len(data) * where)] ^= 0x40
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(StorageError):
        restore(tmp_path / "damaged", backed.files, root=tmp_path / "root", replace=True)
    assert content(tmp_path / "root") == {}


def test_a_backup_that_was_cut_off_changes_nothing(backed: Backed, tmp_path: Path) -> None:
    data = backed.place.read_bytes()
    (tmp_path / "short").write_bytes(data[: len(data) // 2])
    with pytest.raises(StorageError):
        restore(tmp_path / "short", backed.files, root=tmp_path / "root", replace=True)
    assert content(tmp_path / "root") == {}


def test_who_has_another_key_reads_nothing(backed: Backed, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    other = make_certificates(others)
    done = gantry("restore", backed.place, "--root", tmp_path, "--key", other.client.key)
    assert (done.returncode, "none of our keys opens" in done.output) == (1, True), done.output


def sealed(backed: Backed, target: Path, names: dict[str, bytes], **changes: Any) -> Path:
    """A backup that somebody else has made."""
    about = {
        "format": 1,
        "version": "9",
        "index": 1,
        "name": "x",
        "made": "now",
        "roots": ["/state"],
        "owners": [[0, 0, 0o750]],
        "archives": [],
        "files": [],
        "not_taken": [],
        **changes,
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in ({ABOUT: json.dumps(about).encode()} | names).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    envelope = Envelope(Protection((str(backed.certificates.client.certificate),)))
    writer = SealedWriter(envelope, SegmentFile(target))
    writer.write(stream.getvalue())
    writer.finish()
    return target


@pytest.mark.parametrize(
    ("names", "changes", "said"),
    [
        ({}, {"format": 2}, "newer"),
        ({}, {"index": 10_000}, "newer"),
        ({"../evil": b"x"}, {}, "leads out"),
        ({"etc/passwd": b"x"}, {}, "does not tell of"),
        ({"state/a": b"x"}, {}, "cut off"),
        ({"state/a": b"x", DIGESTS: b'0 "/state/a"\n'}, {}, "is not what was written"),
        ({}, {"roots": ["state"]}, "no full name"),
        ({}, {"files": ["/a/../../b"]}, "no full name"),
        ({}, {"owners": []}, "no state"),
    ],
)
def test_a_backup_of_somebody_else_leads_nowhere_else(
    backed: Backed, tmp_path: Path, names: dict[str, bytes], changes: dict[str, Any], said: str
) -> None:
    place = sealed(backed, tmp_path / "evil", names, **changes)
    with pytest.raises(StorageError, match=said):
        restore(place, backed.files, root=tmp_path / "root", replace=True)
    assert content(tmp_path / "root") == {}
    assert not (tmp_path / "evil.").exists()


class _Cut(BaseException):
    """The power is gone."""


def cutting(calls: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """From the call of this number on nothing that changes a disk is done any more."""
    count = 0

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **fields: Any) -> Any:
            nonlocal count
            count += 1
            if count > calls:
                raise _Cut
            return real(*arguments, **fields)

        return call

    for owner, name in (
        (Path, "rename"),
        (Path, "replace"),
        (Path, "touch"),
        (Path, "unlink"),
        (shutil, "copy2"),
        (shutil, "rmtree"),
        (restore_placing, "sync_folder"),
    ):
        monkeypatch.setattr(owner, name, guarded(getattr(owner, name)))
    return lambda: count


def test_a_restore_that_is_cut_anywhere_is_gone_on_with(backed: Backed, tmp_path: Path) -> None:
    small = {"state/archive/a": b"1", "state/b": b"2", "elsewhere/archive/c": b"3", "etc/d": b"4"}
    digests = "".join(
        f"{sha256(data).hexdigest()} {json.dumps('/' + name)}\n" for name, data in small.items()
    )
    more = {"roots": ["/state", "/elsewhere/archive"], "owners": [[0, 0, 0o750]] * 2}
    place = sealed(
        backed, tmp_path / "small", {**small, DIGESTS: digests.encode()}, files=["/etc/d"], **more
    )
    step, finished = 0, False
    while not finished:
        root = tmp_path / f"root{step}"
        before = {"state/old": b"old", "state/b": b"other", "etc/d": b"old"}
        for name, data in before.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        with pytest.MonkeyPatch.context() as patch:
            cutting(step, patch)
            try:
                restore(place, backed.files, root=root, replace=True)
                finished = True
            except _Cut:
                pass
        if not finished:
            if restore_placing.is_decided(root / "state"):
                restore_placing.finish(root / "state")
                assert content(root) == small, step
            else:
                # What is left to be cleared away hurts nobody.
                kept = {n: d for n, d in content(root).items() if RESTORING not in n}
                assert kept in (before, small), step
                restore(place, backed.files, root=root, replace=True)
        assert content(root) == small, step
        step += 1
    assert step > 12


def test_kills_of_the_commands_lose_nothing(
    backed: Backed, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    chance = random.Random(20261121)
    target, root = tmp_path / "again.backup", tmp_path / "root"
    recipient = str(backed.certificates.client.certificate)
    making = ["backup", str(target), "--config", str(backed.node.configuration)]
    putting = ["restore", str(backed.place), "--root", str(root), "--replace", *backed.key]
    for words in [[*making, "--recipient", recipient], putting] * count(2, 40):
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli.main", *words],
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.2, 3.0))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        state = root.joinpath(*backed.state.parts[1:])
        if restore_placing.is_decided(state):
            gantry("restore", "--finish", "--state", state).check()
    gantry(*making, "--recipient", recipient).check()
    gantry("restore", target, "--check", *backed.key).check()
    gantry(*putting).check()
    assert len(objects_of(root)) >= len(backed.acknowledged)
    assert not list(backed.state.rglob(f"{PREFIX}*"))
    assert not list(root.rglob(RESTORING))


def test_a_node_does_not_start_on_half_a_restore(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    staging = node.folder / "state" / RESTORING
    staging.mkdir(parents=True)
    (staging / "ready").write_text('{"roots": [], "files": {}}')
    node.launch()
    assert node.process is not None
    assert node.process.wait(20) != 0
    assert "gantry restore --finish" in node.log


def test_keys_that_cannot_be_taken_are_told() -> None:
    keys = (NamedKey(name="a"), NamedKey(name="b", store="tpm"), NamedKey(name="c", store="pkcs11"))
    said = not_taken(Configuration(keys=keys))
    assert [each.split()[3] for each in said] == ["b", "c"]
    assert "TPM" in said[0] and "token" in said[1]


def test_nobody_makes_a_backup_that_is_not_encrypted(backed: Backed) -> None:
    done = gantry("backup", backed.folder / "x", "--config", backed.node.configuration)
    assert (done.returncode, "--recipient" in done.output) == (2, True)


def test_a_stream_of_many_segments_is_read_as_it_was_written(
    backed: Backed, tmp_path: Path
) -> None:
    envelope = Envelope(Protection((str(backed.certificates.client.certificate),)))
    writer = SealedWriter(envelope, SegmentFile(tmp_path / "s"))
    data = os.urandom(1 << 20)
    for _ in range(20):
        writer.write(data)
    writer.finish()
    reader = SealedReader(tmp_path / "s", backed.files)
    for _ in range(20):
        assert reader.read(1 << 20) == data
    assert reader.read(1) == b""
