"""Orthanc 1.10 or newer: an archive of others (C++), with its REST interface to look inside.

with Orthanc(tmp_path, modalities={"GANTRY": ("127.0.0.1", port)}) as archive:
    ... store to archive.port as ORTHANC ...
    archive.instance_files()
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

from tests.peers.process import Server, free_port
from tests.peers.programs import plugin, program

_SECONDS = 30.0


def worklist_plugin() -> Path:
    """The plug-in that answers worklist queries from a folder of `.wl` files."""
    return plugin("orthanc", "libModalityWorklists.so")


class Orthanc(Server):
    """An Orthanc with an empty database in `folder`, without plug-ins unless some are named.

    C-ECHO and C-STORE are open to all; C-FIND, C-MOVE and C-GET only to `modalities`
    (AE title -> host and port). It takes a C-STORE only with a Study Instance UID.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "ORTHANC",
        port: int | None = None,
        modalities: Mapping[str, tuple[str, int]] | None = None,
        settings: Mapping[str, Any] | None = None,
        plugins: Sequence[Path] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(log=folder / "orthanc.log", port=port, folder=folder)
        self.ae_title = ae_title
        self.http_port = 0
        self._configuration = folder / "orthanc.json"
        self._modalities = dict(modalities or {})
        self._settings = dict(settings or {})
        self._plugins = plugins
        self._database = folder / "database"

    def command(self) -> Sequence[str | Path]:
        self.http_port = self.http_port or free_port()
        configuration = {
            "Name": "PEER",
            "StorageDirectory": str(self._database),
            "IndexDirectory": str(self._database),
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": self.ae_title,
            "DicomPort": self.port,
            "DicomCheckCalledAet": False,
            "UnknownSopClassAccepted": True,
            "OverwriteInstances": True,
            "Plugins": [str(path) for path in self._plugins],
            "DicomModalities": {
                name: {"AET": name, "Host": host, "Port": port, "AllowStorageCommitment": True}
                for name, (host, port) in self._modalities.items()
            },
        }
        self._configuration.write_text(json.dumps(configuration | self._settings, indent=1))
        return [program("orthanc", "Orthanc"), "--verbose", self._configuration]

    def is_ready(self) -> bool:
        try:
            return "Version" in self.rest("/system")
        except (URLError, ConnectionError):
            return False

    def request(self, path: str, *, method: str = "GET", body: bytes | None = None) -> bytes:
        """One REST request, answered with bytes; HTTPError for a status above 399."""
        url = f"http://127.0.0.1:{self.http_port}{path}"
        request = urllib.request.Request(url, data=body, method=method)
        # No proxy of the machine may come between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_SECONDS) as answer:
            return bytes(answer.read())

    def rest(self, path: str, *, method: str = "GET", body: Any = None) -> Any:
        """One REST request with JSON both ways; a string as body is sent as it is."""
        if body is None:
            data = None
        else:
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        answer = self.request(path, method=method, body=data)
        return json.loads(answer) if answer else None

    def instances(self) -> list[str]:
        """Orthanc's own identifiers of all instances."""
        found: list[str] = self.rest("/instances")
        return found

    def sop_instance_uids(self) -> set[str]:
        """The SOP Instance UIDs of all that is stored."""
        return {
            entry["MainDicomTags"]["SOPInstanceUID"] for entry in self.rest("/instances?expand")
        }

    def instance_file(self, identifier: str) -> bytes:
        """The Part 10 file as Orthanc keeps it."""
        return self.request(f"/instances/{identifier}/file")

    def instance_files(self) -> dict[str, bytes]:
        """SOP Instance UID -> Part 10 file, of all that is stored."""
        return {
            entry["MainDicomTags"]["SOPInstanceUID"]: self.instance_file(entry["ID"])
            for entry in self.rest("/instances?expand")
        }

    def store(self, modality: str, *identifiers: str) -> Any:
        """Have it send instances by C-STORE to one of `modalities` (it is the SCU)."""
        return self.rest(f"/modalities/{modality}/store", method="POST", body=list(identifiers))

    def upload(self, file: bytes) -> Any:
        """Put a Part 10 file in by REST."""
        return json.loads(self.request("/instances", method="POST", body=file))

    def clear(self) -> None:
        """Delete all that is stored."""
        for identifier in self.rest("/patients"):
            self.request(f"/patients/{identifier}", method="DELETE")
