"""rsyslog of Debian as an audit repository: syslog over TLS (RFC 5425) and over UDP (RFC 5426).

It writes each message on a line of a file, as it came (`rawmsg`).
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.peers.certificates import Certificates, make_certificates
from tests.peers.process import Server
from tests.peers.programs import plugin, program

_SEQUENCE = re.compile(r'\[meta sequenceId="(\d+)"\]')


def free_udp_port() -> int:
    """A UDP port that nobody holds at this moment."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Rsyslog(Server):
    """A repository that asks its senders for a certificate of the authority."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(log=folder / "rsyslog.log")
        self.folder = folder
        self.certificates = certificates
        self.udp_port = free_udp_port()
        plugin("rsyslog-gnutls", "lmnsd_gtls.so")

    def command(self) -> Sequence[str | Path]:
        own = self.certificates.server
        configuration = self.folder / "rsyslog.conf"
        configuration.write_text(
            f"""
global(
  workDirectory="{self.folder}"
  maxMessageSize="64k"
  defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{self.certificates.authority}"
  defaultNetstreamDriverCertFile="{own.certificate}"
  defaultNetstreamDriverKeyFile="{own.key}"
)
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1"
       streamDriver.authMode="x509/certvalid")
module(load="imudp")
input(type="imtcp" address="127.0.0.1" port="{self.port}")
input(type="imudp" address="127.0.0.1" port="{self.udp_port}" ruleset="datagrams")
template(name="raw" type="string" string="%rawmsg%\\n")
action(type="omfile" file="{self.folder}/tls" template="raw" flushOnTXEnd="on")
ruleset(name="datagrams") {{
  action(type="omfile" file="{self.folder}/udp" template="raw" flushOnTXEnd="on")
}}
"""
        )
        return [
            program("rsyslog", "rsyslogd"),
            "-n",
            "-f",
            configuration,
            "-i",
            self.folder / "pid",
        ]

    def forget(self) -> None:
        """What came so far."""
        for transport in ("tls", "udp"):
            if (self.folder / transport).exists():
                os.truncate(self.folder / transport, 0)

    def lines(self, transport: str = "tls") -> list[str]:
        """What came so far."""
        file = self.folder / transport
        return file.read_text().splitlines() if file.exists() else []

    def numbers(self, transport: str = "tls") -> list[int]:
        """The sequence numbers of what came, in order."""
        found = (_SEQUENCE.search(line) for line in self.lines(transport))
        return [int(each[1]) for each in found if each]

    def messages(self, transport: str = "tls") -> list[str]:
        """The XML of what came."""
        return [
            line[line.index("<?xml") :].replace("\ufeff", "")
            for line in self.lines(transport)
            if "<?xml" in line
        ]


@pytest.fixture(scope="module")
def shared_repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rsyslog]:
    """One for the tests of a module, which `forget` what it was told before."""
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    with Rsyslog(tmp_path_factory.mktemp("rsyslog"), certificates) as running:
        yield running
