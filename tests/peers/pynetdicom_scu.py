"""Runs in a process of its own: a pynetdicom SCU for C-ECHO and C-STORE.

Prints a line for each response: `echo 0000`, or `store 0000 SOPInstanceUID`. Status 1 when the
association was not accepted, 2 when a response was missing. Started by `pynetdicom_echo/_store`.
"""

from __future__ import annotations

import argparse
import ssl
import sys
from pathlib import Path

from pydicom import dcmread
from pynetdicom import AE, debug_logger
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--called", required=True)
    parser.add_argument("--calling", required=True)
    parser.add_argument("--maximum-length", type=int, default=16382)
    parser.add_argument("--tls", nargs=3, metavar=("CERTIFICATE", "KEY", "AUTHORITY"))
    parser.add_argument("files", nargs="*", type=Path)
    return parser.parse_args()


def _contexts_of(files: list[Path]) -> list[tuple[str, str]]:
    tags = ["SOPClassUID"]
    heads = [dcmread(path, specific_tags=tags) for path in files]
    return sorted({(head.SOPClassUID, head.file_meta.TransferSyntaxUID) for head in heads})


def _status(response: object) -> int:
    status = getattr(response, "Status", None)
    if status is None:
        print("no response: the association was aborted or timed out")
        sys.exit(2)
    return int(status)


def _exchange(association: Association, files: list[Path]) -> None:
    if not files:
        print(f"echo {_status(association.send_c_echo()):04X}")
    for path in files:
        data_set = dcmread(path)
        status = _status(association.send_c_store(data_set))
        print(f"store {status:04X} {data_set.SOPInstanceUID}")


def _tls(options: argparse.Namespace) -> tuple[ssl.SSLContext, str] | None:
    if options.tls is None:
        return None
    certificate, key, authority = options.tls
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    return context, options.host


def main() -> None:
    options = _parse()
    debug_logger()
    entity = AE(ae_title=options.calling)
    entity.maximum_pdu_size = options.maximum_length
    if options.files:
        for abstract_syntax, transfer_syntax in _contexts_of(options.files):
            entity.add_requested_context(abstract_syntax, transfer_syntax)
    else:
        entity.add_requested_context(Verification)
    association = entity.associate(
        options.host, options.port, ae_title=options.called, tls_args=_tls(options)
    )
    if not association.is_established:
        print("the association was not accepted")
        sys.exit(1)
    _exchange(association, options.files)
    association.release()


if __name__ == "__main__":
    main()
