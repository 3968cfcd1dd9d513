"""The query bench: C-FIND at study, series and image level, beside Orthanc and dcmqrscp.

python -m tests.bench.query                       100,000 instances of ours, 5,000 with others
python -m tests.bench.query --objects 1000000     and what C-ECHO and memory come to meanwhile
python -m tests.bench.query --peers 0             ours alone

Our index is filled with rows; the others get the same instances by C-STORE, so they hold fewer:
storing takes dcmqrscp time that grows with the square of their number, and it has room for 500
studies. What is compared is asked of all three with the same number of instances, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import Dataset

from agent.archive.index import Index
from agent.archive.instances import InstanceRows, NewInstance
from agent.archive.keys import keys_of
from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import encode_attributes
from agent.dataset.head import Head
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from tests.archive.filled_archive import write
from tests.bench.measuring import tree_cpu
from tests.node.running import NodeProcess
from tests.peers.dcmtk import DcmtkQueryRetrieveScp, storescu
from tests.peers.memory import MIB, proportional_set_size
from tests.peers.orthanc import Orthanc
from tests.peers.process import process_tree
from tests.peers.raw_pdu import command_set, data, item, proposed_context, user_information, value
from tests.peers.raw_peer import RawPeer

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
SERIES, IMAGES = 4, 50
"""Series in a study, and instances in a series."""
_STATUS = b"\0\0\0\x09\2\0\0\0"

STUDY_KEYS = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ModalitiesInStudy",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "NumberOfStudyRelatedInstances",
)
SERIES_KEYS = ["Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber"]
IMAGE_KEYS = ["SOPClassUID", "SOPInstanceUID", "InstanceNumber"]


@dataclass(frozen=True)
class Query:
    """One row of the bench; `relational` needs byte 1, or a peer that does without."""

    name: str
    level: str
    keys: dict[str, str]
    relational: bool = False


def queries(objects: int) -> list[Query]:
    """What is asked of an archive of so many instances."""
    middle = objects // (SERIES * IMAGES) // 2
    one = {"StudyInstanceUID": f"1.2.4.{middle}"}
    study = dict.fromkeys(STUDY_KEYS, "")
    image = dict.fromkeys(IMAGE_KEYS, "")
    return [
        Query("study: all", "STUDY", study),
        Query("study: by Patient ID", "STUDY", {**study, "PatientID": f"ID{middle // 2}"}),
        Query("study: name D*1*", "STUDY", {**study, "PatientName": "D*1*"}),
        Query("study: a week", "STUDY", {**study, "StudyDate": "20200101-20200107"}),
        Query("study: by UID", "STUDY", {**study, **one}),
        Query("series: of a study", "SERIES", {**dict.fromkeys(SERIES_KEYS, ""), **one}),
        Query("image: of a series", "IMAGE", {**image, **one,
              "SeriesInstanceUID": f"1.2.5.{middle * SERIES}"}),
        Query("image: all", "IMAGE", {**image, "StudyInstanceUID": "", "SeriesInstanceUID": ""},
              relational=True),
    ]  # fmt: skip


def values_of(number: int) -> dict[str, str]:
    """The keys of an instance, from 0."""
    series, study = number // IMAGES, number // IMAGES // SERIES
    patient = study // 2
    return {
        "SOPClassUID": CT,
        "SOPInstanceUID": f"1.2.3.{number}",
        "StudyDate": f"20{study % 28:02}{study % 12 + 1:02}{study % 28 + 1:02}",
        "StudyTime": f"{study % 24:02}3000",
        "AccessionNumber": f"A{study}",
        "Modality": ("CT", "MR", "US", "PT")[series % SERIES],
        "StudyDescription": f"Abdomen {study % 7}",
        "SeriesDescription": f"Series {series % SERIES}",
        "PatientName": f"D{patient}^Jane",
        "PatientID": f"ID{patient}",
        "PatientBirthDate": f"19{patient % 100:02}0101",
        "PatientSex": "F",
        "StudyInstanceUID": f"1.2.4.{study}",
        "SeriesInstanceUID": f"1.2.5.{series}",
        "StudyID": f"{study}",
        "SeriesNumber": f"{series % SERIES + 1}",
        "InstanceNumber": f"{number % IMAGES + 1}",
    }


def fill(folder: Path, objects: int) -> None:
    """Rows of the index alone; nobody reads the files."""
    index = Index.open(folder)
    index.execute("PRAGMA synchronous = OFF")
    rows = InstanceRows(index)
    by_tag = {keyword: tags.from_text(keyword) for keyword in values_of(0)}
    with index.transaction():
        for number in range(objects):
            held = {by_tag[key]: text.encode() for key, text in values_of(number).items()}
            rows.add(
                NewInstance(
                    number=number + 1,
                    keys=keys_of(Head(held, {}, 0, None)),
                    transfer_syntax_uid=EXPLICIT,
                    data_set_offset=400,
                    size=500_000,
                    received=1e9 + number,
                    source="MODALITY",
                )
            )
        index.set_state(last_number=objects, bytes=objects * 500_000)
    index.close()


def files(folder: Path, objects: int) -> Iterator[Path]:
    """The same instances as files without pixels."""
    for number in range(objects):
        made = Dataset()
        for keyword, text in values_of(number).items():
            setattr(made, keyword, text)
        path = folder / f"{number:07}.dcm"
        write(path, made)
        yield path


class Client:
    """One association by hand, that counts responses as fast as they come."""

    def __init__(self, port: int, called: str, *, relational: bool = False) -> None:
        self._peer = RawPeer.connect(port)
        uid = STUDY_ROOT.encode()
        offer = item(0x56, len(uid).to_bytes(2, "big") + uid + b"\1")
        self._peer.associate(
            proposed_context(1, STUDY_ROOT, EXPLICIT),
            proposed_context(3, "1.2.840.10008.1.1", EXPLICIT),
            called=called,
            user=user_information(offer, maximum_length=131072)
            if relational
            else user_information(maximum_length=131072),
        )

    def close(self) -> None:
        self._peer.close()

    def find(self, query: Query) -> tuple[int, float, float, int]:
        """Matches, seconds to the first and to the last response, and the final status."""
        keys = Attributes(QueryRetrieveLevel=query.level, **query.keys)
        identifier = encode_attributes(keys, TRANSFER_SYNTAXES[EXPLICIT])
        command = command_set({0x0002: STUDY_ROOT, 0x0100: 0x0020, 0x0110: 1, 0x0700: 0, 0x0800: 0})
        begun = time.monotonic()
        self._peer.send(data(value(1, 3, command)), data(value(1, 2, identifier)))
        first = 0.0
        for count, status in enumerate(self._statuses()):
            first = first or time.monotonic() - begun
            if status not in (0xFF00, 0xFF01):
                return count, first, time.monotonic() - begun, status
        raise ConnectionError("the association ended")

    def echo(self) -> float:
        """Seconds that a C-ECHO takes."""
        command = command_set({0x0002: "1.2.840.10008.1.1", 0x0100: 0x0030, 0x0110: 1,
                               0x0800: 0x0101})  # fmt: skip
        begun = time.monotonic()
        self._peer.send(data(value(3, 3, command)))
        next(self._statuses())
        return time.monotonic() - begun

    def _statuses(self) -> Iterator[int]:
        held = b""
        connection = self._peer.socket
        connection.settimeout(600)
        while True:
            piece = connection.recv(1 << 18)
            if not piece:
                return
            held += piece
            at = 0
            while len(held) - at >= 6:
                length = int.from_bytes(held[at + 2 : at + 6], "big")
                if len(held) - at - 6 < length:
                    break
                if held[at + 11] & 1:
                    found = held.index(_STATUS, at) + 8
                    yield int.from_bytes(held[found : found + 2], "little")
                at += 6 + length
            held = held[at:]


Target = tuple[int, str]
"""A port, and the AE title that is called there."""


def measure(
    targets: dict[str, Target], asked: Iterable[Query], repeat: int
) -> dict[str, dict[str, Any]]:
    """Medians of the times of each query at each target, which take turns; None where it is
    refused."""
    found: dict[str, dict[str, Any]] = {name: {} for name in targets}
    for query in asked:
        clients = {
            name: Client(port, called, relational=query.relational)
            for name, (port, called) in targets.items()
        }
        results: dict[str, list[tuple[int, float, float, int]]] = {name: [] for name in targets}
        for _ in range(repeat):
            for name, client in clients.items():
                results[name].append(client.find(query))
        for name, client in clients.items():
            client.close()
            counts, firsts, lasts, statuses = zip(*results[name], strict=True)
            found[name][query.name] = (
                None
                if any(statuses)
                else {
                    "matches": counts[0],
                    "first": statistics.median(firsts),
                    "last": statistics.median(lasts),
                }
            )
    return found


@contextmanager
def ours(folder: Path, objects: int) -> Iterator[NodeProcess]:
    """A node of ours with so many instances."""
    node = NodeProcess(
        folder, '[[entity.service]]\nname = "query"\nroles = ["scp"]\n'
        '[[entity.service]]\nname = "verification"\nroles = ["scp"]\n'
    )  # fmt: skip
    with node:
        node.stop()
    fill(next((folder / "state").rglob("index.sqlite")).parent, objects)
    with node:
        yield node


def _beside(node: NodeProcess, query: Query) -> dict[str, Any]:
    assert node.process is not None
    pid = node.process.pid
    other = Client(node.port, "GANTRY")
    asking = Client(node.port, "GANTRY", relational=True)
    other.echo()
    done = threading.Event()
    before = tree_cpu(pid)
    long_turns = _long_turns(node)

    def run() -> None:
        asking.find(query)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    echoes, peak = [], 0
    while not done.is_set():
        echoes.append(other.echo())
        if len(echoes) % 20 == 1:
            peak = max(peak, proportional_set_size(process_tree(pid)))
        time.sleep(0.01)
    thread.join()
    other.close()
    asking.close()
    echoes.sort()
    return {
        "echoes": len(echoes),
        "median": statistics.median(echoes),
        "percentile_99": echoes[int(len(echoes) * 0.99)],
        "worst": echoes[-1],
        "peak_mib": peak / MIB,
        "cpu": tree_cpu(pid) - before,
        "turns_over_budget": _long_turns(node) - long_turns,
    }


def _long_turns(node: NodeProcess) -> float:
    """Turns of the node's loop that took more than 5 ms of CPU so far."""
    return float(node.ask("status")["loop"]["turns_over_budget"])


@contextmanager
def theirs(folder: Path, objects: int) -> Iterator[dict[str, Target]]:
    """The others with the same instances, at their best: as installed, DCMTK waits for an
    acknowledgement within each message (Nagle's algorithm), 40 ms a response."""
    os.environ["TCP_NODELAY"] = "1"
    held = folder / "files"
    held.mkdir(parents=True)
    paths = list(files(held, objects))
    found: dict[str, Target] = {}
    with ExitStack() as stack:
        for peer in (
            Orthanc(folder / "orthanc", modalities={"REQUESTOR": ("127.0.0.1", 1)},
                    settings={"DicomAlwaysAllowFind": True}),
            DcmtkQueryRetrieveScp(folder / "dcmqrscp"),
        ):  # fmt: skip
            stack.enter_context(peer)
            for start in range(0, len(paths), 1000):
                some = paths[start : start + 1000]
                storescu(peer.port, *some, called=peer.ae_title, seconds=3600).check()
            found[type(peer).__name__] = peer.port, peer.ae_title
        yield found


def table(title: str, mine: dict[str, Any], others: dict[str, dict[str, Any]]) -> None:
    """A row a query: first and last response in milliseconds, and how many times as long theirs
    take."""
    names = "".join(f"{name:>26}" for name in others)
    print(f"\n{title}\n{'':<24}{'matches':>9}{'first':>9}{'last ms':>10}{names}")
    for name, figures in mine.items():
        line = f"{name:<24}{figures['matches']:>9}"
        line += f"{figures['first'] * 1000:>9.1f}{figures['last'] * 1000:>10.1f}"
        for peer in others.values():
            held = peer.get(name)
            if held is None:
                line += f"{'refused':>26}"
            else:
                same = "" if held["matches"] == figures["matches"] else f" ({held['matches']})"
                ratios = (held[each] / figures[each] for each in ("first", "last"))
                line += "{:>26}".format(" / ".join(f"{each:.1f}" for each in ratios) + same)
        print(line)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--peers", type=int, default=5_000, help="instances that the others get")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where all figures go")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {}
    # In memory: what is compared is queries, and storing waits for no disk.
    with tempfile.TemporaryDirectory(prefix="gantry-query-", dir="/dev/shm") as name:
        folder = Path(name)
        if options.peers:
            asked = queries(options.peers)
            with (
                ours(folder / "same", options.peers) as node,
                theirs(folder / "others", options.peers) as others,
            ):
                targets = {"Gantry": (node.port, "GANTRY"), **others}
                compared = measure(targets, asked, options.repeat)
            figures["same"] = dict(compared)
            mine = compared.pop("Gantry")
            title = f"{options.peers} instances; theirs as times ours: first / last"
            table(title, mine, compared)
        asked = queries(options.objects)
        with ours(folder / "ours", options.objects) as node:
            target = {"Gantry": (node.port, "GANTRY")}
            mine = measure(target, asked, options.repeat)["Gantry"]
            beside = _beside(node, asked[-1])
        table(f"{options.objects} instances, ours", mine, {})
        print("\nwhile all images are asked for, by another:")
        for key, value in beside.items():
            print(f"  {key:<24}{value:10.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
