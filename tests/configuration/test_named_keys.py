"""[[key]] and the TLS that names one."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tests.configuration.words import load_text, problems_of

KEY = '[[key]]\nname = "box"\n'
PEER = '[[peer]]\nname = "PACS"\naddresses = ["192.0.2.1:2762"]\n[peer.tls]\n'


def test_tls_knows_the_table_of_its_key(tmp_path: Path) -> None:
    found = load_text(tmp_path, f'{KEY}{PEER}key = "box"\n')
    tls = found.peers[0].tls
    assert tls is not None and tls.stored is not None
    assert tls.stored == found.named_key("box")
    assert tls.stored.folder == f"{found.node.state}/keys/box"
    assert pickle.loads(pickle.dumps(tls)) == tls and hash(tls) == hash(
        pickle.loads(pickle.dumps(tls))
    )
    other = load_text(tmp_path, f'{KEY}algorithm = "ec-p256"\n{PEER}key = "box"\n')
    assert other.peers[0].tls != tls, "listeners open again when their key is another"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f'{PEER}key = "box"\n', "peer.PACS.tls.key"),
        (f'{KEY}{PEER}key = "box"\ncertificate = "/a.pem"\n', "peer.PACS.tls.key"),
        (f'{KEY}store = "tpm"\n', "key.box.handle"),
        (f'{KEY}store = "tpm"\nhandle = 1\n', "key.box.handle"),
        (f'{KEY}store = "pkcs11"\nmodule = "/m.so"\ntoken = "t"\n', "key.box.secret"),
        (f'{KEY}secret = "1234"\n', "key.box.secret"),
        (f'{KEY}enrolment = "http://est.example"\n', "key.box.enrolment"),
    ],
)
def test_what_cannot_be_meant_is_told(text: str, place: str, tmp_path: Path) -> None:
    assert place in problems_of(tmp_path, text)
