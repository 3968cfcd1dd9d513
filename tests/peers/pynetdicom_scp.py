"""Runs in a process of its own: a pynetdicom SCP for Verification and all Storage classes.

Objects are written as they came, to FOLDER/SOPInstanceUID.dcm. Started by `PynetdicomScp`.
"""

from __future__ import annotations

import argparse
import ssl
import time
from pathlib import Path
from typing import Any

from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, debug_logger, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--ae-title", required=True)
    parser.add_argument("--maximum-length", type=int, default=16382)
    parser.add_argument("--status", type=lambda text: int(text, 16), default=0)
    parser.add_argument("--sleep", type=float, default=0.0)
    parser.add_argument("--require-called", action="store_true")
    parser.add_argument("--sop-class", action="append", default=[])
    parser.add_argument("--transfer-syntax", action="append", default=[])
    parser.add_argument("--tls", nargs=3, metavar=("CERTIFICATE", "KEY", "AUTHORITY"))
    return parser.parse_args()


def _store(event: Any, options: argparse.Namespace) -> int:
    time.sleep(options.sleep)
    if options.status & 0xF000 not in (0xA000, 0xC000):
        name = f"{event.request.AffectedSOPInstanceUID}.dcm"
        (options.folder / f"{name}.part").write_bytes(event.encoded_dataset())
        (options.folder / f"{name}.part").rename(options.folder / name)
    return int(options.status)


def main() -> None:
    options = _parse()
    debug_logger()
    entity = AE(ae_title=options.ae_title)
    entity.maximum_pdu_size = options.maximum_length
    entity.maximum_associations = 100
    entity.require_called_aet = options.require_called
    classes = [each.abstract_syntax for each in AllStoragePresentationContexts]
    for uid in options.sop_class or classes:
        entity.add_supported_context(uid, options.transfer_syntax or AllTransferSyntaxes)
    entity.add_supported_context(Verification)
    handlers: list[Any] = [
        (evt.EVT_C_STORE, _store, [options]),
        (evt.EVT_ESTABLISHED, lambda event: print("association established", flush=True)),
    ]
    context = None
    if options.tls:
        certificate, key, authority = options.tls
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificate, key)
    where = ("127.0.0.1", options.port)
    entity.start_server(where, evt_handlers=handlers, ssl_context=context)


if __name__ == "__main__":
    main()
