"""A card between a hospital's network and a modality: `gantry test --machine`.

It is set up by `gantry.conf` alone. Each of its two network cards has a cable (a tap) to a
namespace. On the hospital's side there is what a hospital has: addresses and names (dnsmasq), the
time (chrony), an archive (DCMTK). Needs root.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from image.boards import BOARDS
from tests.archive.objects import sample
from tests.machine import port_scan
from tests.machine.card import FIRMWARE, Box, Disk
from tests.machine.test_card import built
from tests.peers.dcmtk import dcmtk_program
from tests.peers.network_namespace import NetworkNamespace, network_namespace
from tests.peers.process import ChildProcess, wait_until
from tests.peers.programs import Completed, missing, program, run

pytestmark = [pytest.mark.machine, pytest.mark.timeout(2 * 3600)]

BOARD = BOARDS["amd64"]
_PATIENCE = 20 * 60.0
HOSPITAL, ARCHIVE, CONFIGURED = "192.0.2.1", 11104, "192.0.2.77"
BROADCASTER = "192.0.2.2"
BOX, MODALITY = "10.99.0.1", "10.99.0.2"
CARDS = {"hospital": "52:54:00:00:00:01", "modality": "52:54:00:00:00:02"}

_SETTINGS = f"""# Of the engineer, on Windows.
title = "GANTRY1"
archive = "PACS@pacs.hospital.example:{ARCHIVE}"
callers = ["CT1"]

[network]
hospital = "{CARDS["hospital"]}"
modality = "{CARDS["modality"].replace(":", "-")}"
modality_address = "{BOX}/24"
time_servers = ["{CONFIGURED}"]
"""
_SLOW = "[Service]\nTimeoutStartSec=15min\nWatchdogSec=5min\n"
_OPEN = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)"


class Networks:
    """Both sides of a box, and the box."""

    def __init__(self, hospital: NetworkNamespace, modality: NetworkNamespace, box: Box) -> None:
        self.hospital = hospital
        self.modality = modality
        self.box = box

    def address(self) -> str:
        """The one that the hospital has given to the box."""
        return self.box.wait_until(
            "ip -4 -o address show group 1 scope global | grep -o '192.0.2.[0-9]*/' | tr -d /",
            seconds=_PATIENCE,
        ).strip()


def _do(namespace: NetworkNamespace, *words: str | Path, seconds: float = 60.0) -> Completed:
    return run(namespace.command(words), seconds=seconds)


def _time_server(folder: Path, address: str, more: str = "") -> tuple[str | Path, ...]:
    """The command line of a server with the time of this machine's clock."""
    folder.mkdir()
    (folder / "conf").write_text(
        f"local stratum 3\nallow all\nbindaddress {address}\ncmdport 0\n"
        f"pidfile {folder}/pid\n{more}"
    )
    return (program("chrony", "chronyd"), "-d", "-x", "-f", folder / "conf")


def _hospital(namespace: NetworkNamespace, folder: Path, stack: ExitStack) -> None:
    """Its servers."""
    (folder / "received").mkdir()
    servers: dict[str, tuple[str | Path, ...]] = {
        "dnsmasq": (
            *(program("dnsmasq-base", "dnsmasq"), "--no-daemon", "--conf-file=/dev/null"),
            *("--no-resolv", "--no-hosts", "--user=root", "--log-dhcp", "--interface=hosp"),
            *(f"--address=/pacs.hospital.example/{HOSPITAL}", f"--pid-file={folder}/dns.pid"),
            *("--dhcp-range=192.0.2.50,192.0.2.60", f"--dhcp-leasefile={folder}/leases"),
            f"--dhcp-option=option:ntp-server,{HOSPITAL}",
        ),
        "chronyd": _time_server(folder / "chrony", HOSPITAL),
        "storescp": (
            *(dcmtk_program("storescp"), "-aet", "PACS", "+xa", "+B", "-od"),
            *(folder / "received", str(ARCHIVE)),
        ),
    }
    for name, words in servers.items():
        log = folder / f"{name}.log"
        stack.enter_context(ChildProcess(namespace.command(words), log=log))


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Networks]:
    firmware = FIRMWARE[BOARD.debian]
    if not firmware.code.exists():
        missing("UEFI", f"apt-get install {firmware.package}")
    if os.geteuid():
        pytest.skip("only root can make an image")
    folder = tmp_path_factory.mktemp("networks")
    disk = Disk(BOARD, built(BOARD).card, folder)
    disk.put_settings(_SETTINGS.replace("\n", "\r\n"), folder)
    slow = {
        "systemd/system/gantry.service.d": None,
        "systemd/system/gantry.service.d/slow.conf": _SLOW,
    }
    disk.put_shell(folder, slow)
    with ExitStack() as stack:
        hospital = stack.enter_context(network_namespace("hospital"))
        modality = stack.enter_context(network_namespace("modality"))
        for name in ("hosp", "moda"):
            _do(hospital, "ip", "tuntap", "add", name, "mode", "tap").check()
        _do(hospital, "ip", "address", "add", f"{HOSPITAL}/24", "dev", "hosp").check()
        hospital.set_link("hosp", up=True)
        _hospital(hospital, folder, stack)
        cables = (("hosp", CARDS["hospital"]), ("moda", CARDS["modality"]))
        words = tuple(
            word
            for name, hardware in cables
            for word in (
                *("-netdev", f"tap,id={name},ifname={name},script=no,downscript=no"),
                *("-device", f"virtio-net-pci,netdev={name},mac={hardware}"),
            )
        )
        around = hospital.command(())
        box = stack.enter_context(Box(BOARD, disk, folder, network=words, around=around))
        # The machine holds its end; the other one is the modality's.
        wait_until(
            lambda: "LOWER_UP" in _do(hospital, "ip", "link", "show", "hosp").output,
            "the machine has its cables",
        )
        _do(hospital, "ip", "link", "set", "moda", "netns", modality.name).check()
        _do(modality, "ip", "address", "add", f"{MODALITY}/24", "dev", "moda").check()
        modality.set_link("moda", up=True)
        yield Networks(hospital, modality, box)


def test_the_hospital_gives_address_names_and_time(networks: Networks) -> None:
    box = networks.box
    box.wait_until("systemctl is-active gantry.service", seconds=_PATIENCE)
    assert networks.address().startswith("192.0.2.5")
    assert HOSPITAL in box.check("resolvectl query --cache=no pacs.hospital.example")
    box.wait_until("timedatectl show -p NTPSynchronized --value | grep -qx yes", seconds=_PATIENCE)
    # The server that DHCP names comes before the one that is configured (PS3.15 G).
    assert f"Server: {HOSPITAL} " in box.check("timedatectl timesync-status")
    assert CONFIGURED in box.check("timedatectl show-timesync -p FallbackNTPServers")
    assert "the clock: set by a time server" in box.check("gantry doctor --offline; true")


def test_a_server_that_broadcasts_the_time_comes_first(networks: Networks, tmp_path: Path) -> None:
    hospital = networks.hospital
    _do(hospital, "ip", "address", "add", f"{BROADCASTER}/24", "dev", "hosp").check()
    words = _time_server(tmp_path / "chrony", BROADCASTER, "broadcast 5 192.0.2.255\n")
    with ChildProcess(hospital.command(words), log=tmp_path / "log"):
        is_asked = f"timedatectl timesync-status | grep -q 'Server: {BROADCASTER} '"
        networks.box.wait_until(is_asked, seconds=_PATIENCE)
        networks.box.wait_until(
            "timedatectl show -p NTPSynchronized --value | grep -qx yes", seconds=_PATIENCE
        )
        # Others are not listened to any more.
        networks.box.check("! systemctl is-active gantry-time-broadcast.socket")
    # It is gone: those of DHCP are asked.
    networks.box.check("systemctl restart systemd-timesyncd")
    is_asked = f"timedatectl timesync-status | grep -q 'Server: {HOSPITAL} '"
    networks.box.wait_until(is_asked, seconds=_PATIENCE)


def test_each_side_has_its_adapter_and_only_the_hospital_a_router(networks: Networks) -> None:
    links = {
        group: networks.box.check(f"ip -o link show group {number}")
        for group, number in (("hospital", 1), ("modality", 2))
    }
    for side, said in links.items():
        assert said.count("\n") == 0 and CARDS[side] in said
    assert f"{BOX}/24" in networks.box.check("ip -4 -o address show group 2")
    assert f"via {HOSPITAL}" in networks.box.check("ip route show default")


@pytest.mark.parametrize("side", ["hospital", "modality"])
def test_of_all_ports_only_what_is_served_is_open(networks: Networks, side: str) -> None:
    namespace = getattr(networks, side)
    address = networks.address() if side == "hospital" else BOX
    scan = [sys.executable, str(port_scan.__file__), address]
    found = json.loads(_do(namespace, *scan, seconds=900.0).check().output)
    assert found == {"open": [104], "refused": []}
    # What else listens inside, on all addresses, is behind the firewall: systemd's port for TLS.
    assert ":2762 " in networks.box.check("ss -ltn")


def test_an_image_goes_from_the_modality_to_the_archive(networks: Networks, tmp_path: Path) -> None:
    made = sample("1.2.3.4")
    (tmp_path / "image.dcm").write_bytes(made.meta + made.data_set)
    words = ("-aec", "GANTRY1", BOX, "104", tmp_path / "image.dcm")
    assert _do(networks.modality, dcmtk_program("storescu"), "-aet", "XX", *words).returncode
    _do(networks.modality, dcmtk_program("storescu"), "-aet", "CT1", *words).check()
    networks.box.wait_until("gantry queue | grep -x 'no jobs'", seconds=300.0)
    networks.box.check("gantry status")


def test_nothing_is_forwarded_until_somebody_takes_the_walls_away(networks: Networks) -> None:
    address = networks.address()
    _do(networks.modality, "ip", "route", "add", "192.0.2.0/24", "via", BOX).check()
    _do(networks.hospital, "ip", "route", "add", "10.99.0.0/24", "via", address).check()

    def is_reached() -> bool:
        knock = (sys.executable, "-c", _OPEN, HOSPITAL, str(ARCHIVE))
        return _do(networks.modality, *knock).returncode == 0

    assert not is_reached()
    # That it could be seen: without what a card has against it, the way is open.
    networks.box.check("sysctl -qw net.ipv4.ip_forward=1")
    assert not is_reached()
    networks.box.check("nft flush chain inet gantry forward; nft delete table inet gantry")
    assert is_reached()
