"""Associations that we open by TLS: with servers of others, good and bad."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.configuration.connection import Socket, Timers, Tls
from agent.errors import ConfigurationError, PeerError, UnreachableError
from agent.network import tls as contexts
from agent.network.connection import open_stream
from agent.network.stream import HandshakeFailed
from agent.network.tls import client_context
from agent.network.tls_context import offered
from agent.network.tls_profiles import OPENSSL_NAMES, PROFILES, profile_of
from agent.network.tls_stream import HANDSHAKES, TlsStream
from agent.services.verification import c_echo
from tests.network.test_requestor import associate, run
from tests.peers.certificates import Credentials
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.openssl import TlsServer
from tests.peers.pynetdicom_peer import PynetdicomScp
from tests.peers.raw_peer import RawServer
from tests.peers.tls_authority import TlsAuthority, fingerprint

B13 = "Modified BCP 195 RFC 8996, 9325"
pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TlsAuthority:
    return TlsAuthority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def server(authority: TlsAuthority) -> Credentials:
    return authority.make("server")


@pytest.fixture(scope="module")
def client(authority: TlsAuthority) -> Credentials:
    return authority.make("client")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., TlsServer]]:
    started: list[TlsServer] = []

    def start(own: Credentials, *options: str | Path) -> TlsServer:
        started.append(TlsServer(tmp_path / f"server{len(started)}", own, *options).start())
        return started[-1]

    yield start
    for each in started:
        each.kill()


def trusting(authority: TlsAuthority, own: Credentials | None = None, **more: Any) -> Tls:
    if own is not None:
        more |= {"certificate": str(own.certificate), "private_key": str(own.key)}
    return Tls(trust=(str(authority.file),), **more)


def handshake(port: int, tls: Tls, host: str = "127.0.0.1", **timers: float) -> str:
    """The cipher suite that came of it; a page is asked for, and the session comes with it."""

    async def main() -> str:
        stream = await open_stream(
            [(host, port)], Timers(**timers), Socket(), client_context(tls), tls.server_name, None
        )
        assert isinstance(stream, TlsStream)
        cipher = stream._end.cipher()
        assert cipher is not None
        await stream.send([b"GET / HTTP/1.0\r\n\r\n"])
        while await stream.receive():
            pass
        stream.close()
        return cipher[0]

    found: str = run(main)
    return found


def refused(port: int, tls: Tls, host: str = "127.0.0.1", **timers: float) -> PeerError:
    with pytest.raises(PeerError) as failure:
        handshake(port, tls, host, **timers)
    assert failure.value.way_out
    return failure.value


# Whom we call.


def echo(port: int, tls: Tls) -> int:
    async def main() -> int:
        association = await associate(
            port, ssl_context=client_context(tls), server_name=tls.server_name
        )
        response = await c_echo(association)
        await association.release()
        return response.status

    status: int = run(main)
    return status


def test_cd_48_dcmtk_takes_us_with_our_certificate_and_says_no_to_another(
    tmp_path: Path,
    authority: TlsAuthority,
    server: Credentials,
    client: Credentials,
    start_peer: Callable[..., Any],
) -> None:
    options = ["+tls", str(server.key), str(server.certificate), "+cf", str(authority.file)]
    far = start_peer(DcmtkStoreScp(tmp_path / "far", *options, "-rc"))
    assert echo(far.port, trusting(authority, client)) == 0
    assert echo(far.port, trusting(authority, client, profile=B13)) == 0
    stranger = TlsAuthority(tmp_path / "other", "other").make("stranger")
    for own, words in ((stranger, "does not know who signed"), (None, "wants a certificate")):
        with pytest.raises(PeerError, match=words) as failure:
            echo(far.port, trusting(authority, own))
        assert failure.value.way_out


def test_ic_43_a_dcmtk_of_the_aes_profile_is_reached_only_by_that_name(
    tmp_path: Path, authority: TlsAuthority, server: Credentials, start_peer: Callable[..., Any]
) -> None:
    options = ["+tls", str(server.key), str(server.certificate), "+cf", str(authority.file)]
    far = start_peer(DcmtkStoreScp(tmp_path / "far", *options, "-ic", "+pa"))
    with pytest.raises(HandshakeFailed, match=r"nothing in common|none of our versions"):
        echo(far.port, trusting(authority))
    assert echo(far.port, trusting(authority, profile="AES")) == 0


def test_pynetdicom_takes_us(
    tmp_path: Path,
    authority: TlsAuthority,
    server: Credentials,
    client: Credentials,
    start_peer: Callable[..., Any],
) -> None:
    words = (server.certificate, server.key, authority.file)
    far = start_peer(PynetdicomScp(tmp_path / "far", tls=words))
    assert echo(far.port, trusting(authority, client)) == 0


@pytest.mark.parametrize("profile", ["", B13])
@pytest.mark.parametrize("curve", [False, True], ids=["RSA", "ECDSA"])
def test_each_cipher_suite_of_the_profiles_with_openssl(
    authority: TlsAuthority, serve: Callable[..., TlsServer], profile: str, curve: bool
) -> None:
    row, other = profile_of(profile), "_RSA_" if curve else "_ECDSA_"
    ours = [OPENSSL_NAMES[each] for each in row.tls_1_2 if other not in each]
    own = authority.make("each", curve=curve)
    for name in filter(None, ours):
        far = serve(own, "-tls1_2", "-cipher", f"{name}:@SECLEVEL=0")
        assert handshake(far.port, trusting(authority, profile=profile)) == name
        far.kill()
    for name in (each for each in row.tls_1_3 if each in offered(row)):
        far = serve(own, "-tls1_3", "-ciphersuites", name)
        assert handshake(far.port, trusting(authority, profile=profile)) == name
        far.kill()


@pytest.mark.parametrize(
    "options",
    [
        ("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "AES128-SHA:AES256-GCM-SHA384:DHE-RSA-AES256-GCM-SHA384"),
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA"),
    ],
)
def test_servers_that_have_weaker_things_only_are_left(
    authority: TlsAuthority,
    server: Credentials,
    serve: Callable[..., TlsServer],
    options: tuple[str, ...],
) -> None:
    far = serve(server, *options)
    for profile in ("", B13):
        error = refused(far.port, trusting(authority, profile=profile))
        assert "in common" in str(error) or "version" in str(error)


# Whom we do not accept.


def test_cd_48_certificates_that_we_do_not_accept(
    tmp_path: Path,
    authority: TlsAuthority,
    server: Credentials,
    serve: Callable[..., TlsServer],
) -> None:
    late = serve(authority.make("late", ends_in=-1))
    assert "certificate has expired" in str(refused(late.port, trusting(authority)))
    named = serve(authority.make("named", names=["pacs.example"]))
    error = refused(named.port, trusting(authority))
    assert "127.0.0.1" in str(error) and "tls.server_name" in error.way_out
    assert handshake(named.port, trusting(authority, server_name="pacs.example"))
    stranger = serve(TlsAuthority(tmp_path, "other").make("stranger"))
    error = refused(stranger.port, trusting(authority))
    assert "unable to get local issuer certificate" in str(error)
    assert "tls.trust" in error.way_out


def test_who_is_revoked_is_not_accepted(
    authority: TlsAuthority, server: Credentials, serve: Callable[..., TlsServer]
) -> None:
    bad, good = authority.make("bad"), authority.make("good")
    tls = trusting(authority, crl=(str(authority.revoke("servers.crl", bad)),))
    assert "certificate revoked" in str(refused(serve(bad).port, tls))
    far = serve(good)
    assert handshake(far.port, tls)
    authority.revoke("servers.crl", ends_in=-1)
    error = refused(far.port, tls)
    assert "CRL has expired" in str(error) and "new revocation list" in error.way_out


def test_authorities_need_lists_of_their_own_where_that_is_asked(
    authority: TlsAuthority, server: Credentials, serve: Callable[..., TlsServer]
) -> None:
    lists = (str(authority.revoke("chain.crl")),)
    far = serve(server)
    assert handshake(far.port, trusting(authority, crl=lists, crl_of_authorities=True))
    empty = TlsAuthority(authority.file.parent, "nobody").revoke("nobody.crl")
    error = refused(far.port, trusting(authority, crl=(str(empty),)))
    assert "unable to get certificate CRL" in str(error)


def test_a_device_that_signs_for_itself_is_known_by_its_fingerprint_only(
    authority: TlsAuthority, serve: Callable[..., TlsServer]
) -> None:
    device = authority.make("device", names=["somewhere.else"], signs_itself=True)
    other = authority.make("imposter", names=["somewhere.else"], signs_itself=True)
    pins = (fingerprint(device.certificate).replace(":", "").lower(),)
    pinned = Tls(peer_certificate="none", fingerprints=pins)
    trusted = Tls(trust=(str(device.certificate),), fingerprints=pins)
    far, imposter = serve(device), serve(other)
    assert handshake(far.port, pinned) and handshake(far.port, trusted)
    error = refused(imposter.port, pinned)
    assert "none of the pinned ones" in str(error) and "tls.fingerprints" in error.way_out
    assert "self-signed" in str(refused(imposter.port, trusted))


def test_what_does_not_speak_tls_is_named(
    tmp_path: Path, authority: TlsAuthority, start_peer: Callable[..., Any]
) -> None:
    far = start_peer(DcmtkStoreScp(tmp_path / "far"))
    error = refused(far.port, trusting(authority))
    assert isinstance(error, HandshakeFailed)
    # DCMTK's A-ABORT is lost now and then: it closes with bytes of our hello unread.
    assert "does not speak TLS" in str(error) or "often the port is one without TLS" in (
        error.way_out
    )


def test_a_server_that_stops_in_the_handshake_is_left_in_time(authority: TlsAuthority) -> None:
    with RawServer() as silent:
        error = refused(silent.port, trusting(authority), connect=0.5)
    assert isinstance(error, UnreachableError)
    assert "did not finish the TLS handshake within 0.5 s" in str(error)


# Sessions.


def counted(outcome: str) -> float:
    return HANDSHAKES.of("requestor", outcome).value


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_is_resumed_with_the_same_server_only(
    authority: TlsAuthority,
    server: Credentials,
    client: Credentials,
    serve: Callable[..., TlsServer],
    version: str,
) -> None:
    first = serve(server, version, "-CAfile", authority.file, "-Verify", "2")
    second = serve(server, version, "-CAfile", authority.file, "-Verify", "2")
    tls = trusting(authority, client)
    full, resumed = counted("full"), counted("resumed")
    for port in (first.port, first.port, second.port, first.port):
        handshake(port, tls)
    assert (counted("full") - full, counted("resumed") - resumed) == (2, 2)


def test_a_session_does_not_outlive_the_certificate_or_its_authority(
    tmp_path: Path, serve: Callable[..., TlsServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = TlsAuthority(tmp_path / "authority", "authority")
    far = serve(authority.make("short", ends_in=300))
    tls = trusting(authority)
    resumed = counted("resumed")
    handshake(far.port, tls)
    handshake(far.port, tls)
    assert counted("resumed") == resumed + 1
    kept = authority.file.read_bytes()
    authority.file.write_bytes(TlsAuthority(tmp_path / "other", "other").file.read_bytes())
    assert "unable to get local issuer" in str(refused(far.port, tls))
    authority.file.write_bytes(kept + b"\n")
    handshake(far.port, tls)
    later = time.time() + 301
    monkeypatch.setattr("agent.network.tls_context.time.time", lambda: later)
    assert "has expired" in str(refused(far.port, tls))
    monkeypatch.undo()
    assert handshake(far.port, tls)


# What cannot be.


def test_cd_48_the_basic_profile_cannot_be_had_and_is_not_replaced(
    authority: TlsAuthority,
) -> None:
    with pytest.raises(ConfigurationError, match="TLS_RSA_WITH_3DES_EDE_CBC_SHA") as failure:
        client_context(trusting(authority, profile="Basic"))
    assert "AES" in failure.value.way_out and failure.value.clause == "PS3.15 B.1"
    with pytest.raises(ConfigurationError, match="no secure transport"):
        client_context(trusting(authority, profile="SSL"))


def test_every_profile_but_the_basic_one_can_be_had(authority: TlsAuthority) -> None:
    for profile in PROFILES.values():
        assert bool(offered(profile)) != bool(profile.unavailable)
        assert profile.retired or "TLS 1.2" in (profile.lowest, profile.highest)


def test_what_is_kept_of_contexts_has_a_limit(authority: TlsAuthority) -> None:
    for number in range(contexts._KEPT + 5):
        client_context(trusting(authority, server_name=f"host{number}"))
    assert len(contexts._made) <= contexts._KEPT
