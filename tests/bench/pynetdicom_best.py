"""Runs in a process of its own: pynetdicom with the options that make it fastest.

send HOST PORT FOLDER      each file in the folder, in chunks and never decoded
receive PORT FOLDER        each object into a file, in chunks; 128 KiB PDUs; no log
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from pynetdicom import AE, StoragePresentationContexts, _config, evt

LONGEST_PDU = 131072


def send(host: str, port: int, folder: Path) -> None:
    _config.STORE_SEND_CHUNKED_DATASET = True
    entity = AE(ae_title="PYNETDICOM")
    entity.maximum_pdu_size = LONGEST_PDU
    for sop_class in ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7.2"):
        entity.add_requested_context(sop_class, "1.2.840.10008.1.2.1")
    association = entity.associate(host, port, ae_title="GANTRY", max_pdu=LONGEST_PDU)
    if not association.is_established:
        sys.exit("the association was not accepted")
    for path in sorted(folder.iterdir()):
        status = association.send_c_store(path)
        if getattr(status, "Status", None) != 0:
            sys.exit(f"{path}: {status}")
    association.release()


def receive(port: int, folder: Path) -> None:
    _config.STORE_RECV_CHUNKED_DATASET = True
    # What it receives is a temporary file first: in the same folder, so that a link is enough.
    tempfile.tempdir = str(folder)
    numbers = itertools.count()

    def store(event: Any) -> int:
        os.link(event.dataset_path, folder / f"object-{next(numbers)}")
        return 0

    entity = AE(ae_title="GANTRY")
    entity.maximum_pdu_size = LONGEST_PDU
    entity.supported_contexts = StoragePresentationContexts
    handlers: list[Any] = [(evt.EVT_C_STORE, store)]
    entity.start_server(("127.0.0.1", port), evt_handlers=handlers)


if __name__ == "__main__":
    _config.LOG_HANDLER_LEVEL = "none"
    logging.basicConfig(level=logging.ERROR)
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        receive(int(sys.argv[2]), Path(sys.argv[3]))
