"""A box with its devices, driven from outside as by a hospital: `gantry test --machine`.

It is switched on once, and goes through its life: set up by gantry.conf, certified by the hospital,
an examination, sticks and discs, a cable that is pulled, watchdogs, the demo. What is installed is
the package in the folder GANTRY_CARD_PACKAGES, or one of this checkout. Figures are printed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE

from image import card
from image.boards import BOARDS
from image.packages import command
from image.packages.targets import TARGETS
from tests.machine.device import CARDS, HOST
from tests.machine.file_set_states import NEW
from tests.machine.hospital import STUDY
from tests.machine.site import CONFIGURATION, FOOT, PATIENCE, Site, fresh_site
from tests.media.instances import ROOT as INSTANCES
from tests.peers.dcmtk import dcmsend, echoscu

pytestmark = [pytest.mark.machine, pytest.mark.timeout(7200)]

_DEMO_DEVICES = f"""[[capture]]
name = "video"
kind = "v4l2"
device = "/dev/video1"
modality = "US"
[capture.settings]
pixel_format = "YUYV"
width = 320
height = 180
rate = 25
{FOOT}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The tests share it, and each finds it as the one before has left it."""
    if os.geteuid():
        pytest.skip("only root can make the box's disk")
    given = os.environ.get("GANTRY_CARD_PACKAGES")
    if given:
        (package,) = card.fitting(Path(given), BOARDS["amd64"])
    else:
        folder = tmp_path_factory.mktemp("package")
        package = command.make(command.recipe(TARGETS["amd64"], folder), folder / "made")
    with fresh_site(tmp_path_factory.mktemp("site"), package) as made:
        yield made


def told(what: str, figures: Mapping[str, float]) -> None:
    """Print what was measured."""
    print(f"\n{what}:")
    for name, seconds in figures.items():
        print(f"  {seconds:7.1f} s  {name}")


def test_a_fresh_box_sets_itself_up_and_answers(site: Site) -> None:
    answered = site.wait_for_echo(site.box.switched_on)
    told(
        "first start, from gantry.conf (key of RSA made in the TPM)",
        {**site.figures(), "power on to the first C-ECHO, by the clock outside": answered},
    )
    said = site.box.check("cat /boot/efi/gantry-report.txt")
    assert "a key for TLS in the TPM" in said and "AE title GANTRY on port 104, 2762" in said, said
    assert site.box.check("systemctl show -P NRestarts gantry") == "0"


def test_the_hospital_certifies_it_and_the_key_is_on_no_disk(site: Site) -> None:
    given = site.hospital.certify(site.box.check("cat /boot/efi/gantry-request.pem"))
    trust = site.hospital.authority.file.read_text()
    for name, text in (
        ("/tmp/box.pem", given),
        ("/etc/gantry/hospital.pem", trust),
        ("/etc/gantry/gantry.toml.d/site.toml", CONFIGURATION),
    ):
        site.box.check(f"cat >{name} <<'END'\n{text}END")
    site.hospital.order("A1001", site.box.check("date +%Y%m%d"))
    site.box.check("chgrp gantry /etc/gantry/gantry.toml.d/site.toml")
    assert "installed CN=us-1" in site.box.check("gantry keys install box /tmp/box.pem")
    site.box.check("rm /tmp/box.pem; gantry config check", seconds=300.0)
    assert "PRIVATE" not in site.box.check(
        "grep -rl 'PRIVATE KEY' /etc /var/lib /boot /root /home || true", seconds=300.0
    )
    assert "SHUTDOWN" in site.box.until_reset("systemctl reboot", seconds=PATIENCE)
    answered = site.wait_for_echo(site.box.switched_on)
    told(
        "start of the box as it is configured",
        {**site.figures(), "power on to the first C-ECHO, by the clock outside": answered},
    )
    own, hospital = site.hospital.modality, site.hospital.authority.file
    tls = ("+tls", str(own.key), str(own.certificate), "+cf", str(hospital))
    echoscu(site.tls_port, *tls, "-to", "60", "-ta", "60", "-td", "60", seconds=200.0).check()
    assert echoscu(site.tls_port, "+tla", "-ic", seconds=200.0).returncode != 0, "no certificate"


def test_barcode_and_foot_switch_lead_to_images_in_the_archive(site: Site) -> None:
    site.until(lambda: "A1001" in site.box.check("gantry worklist"), "the order is known")
    # The first of its kind: the kernel loads the driver now.
    site.box.plug_in_reader()
    site.until(lambda: "device=reader" in journal(site, "port there"), "the reader is opened")
    begun = time.monotonic()
    site.box.reader.say("A1001\r\n")
    site.until(lambda: site.exam().get("state") == "IN PROGRESS", "the examination is begun")
    site.press("left")
    site.press("right")
    site.until(lambda: len(site.kept()) == 2, "an image and a clip are kept")
    site.press("middle")
    site.until(lambda: site.exam().get("state") == "COMPLETED", "the examination is over")
    kept = site.kept()
    site.hospital.wait_for(kept, seconds=PATIENCE)
    told("an examination", {"barcode to the last object in the archive": time.monotonic() - begun})
    assert site.hospital.stored() == kept, "byte for byte what is kept"
    images = [dcmread(each) for each in site.hospital.archive.received()]
    assert {each.PatientID for each in images} == {"4711"}
    assert {each.StudyInstanceUID for each in images} == {STUDY}
    assert sorted(int(each.get("NumberOfFrames", 1)) for each in images) == [1, 5]
    for each in images:
        # The bars of the kernel's virtual camera, by their brightness: white is left, black right.
        colours = each.pixel_array.reshape(-1, 480, 640, 3)[0, 240, 40::80]
        bars = colours @ (0.299, 0.587, 0.114)
        assert all(left > right for left, right in pairwise(bars)), bars


def journal(site: Site, words: str) -> str:
    """The lines of the node's log since this start that have these words."""
    return site.box.check(f"journalctl -u gantry -b -o cat | grep '{words}' || true")


def test_a_stick_is_imported_by_itself(site: Site) -> None:
    wanted = plug_in_a_study(site, 1)
    site.hospital.wait_for(wanted, seconds=PATIENCE)
    site.hand.pull("IMPORT")
    site.until(lambda: not site.media(), "the stick is gone")


def plug_in_a_study(site: Site, number: int) -> dict[str, str]:
    digests, _ = site.study(number, 6, 128)
    site.hand.make_stick("IMPORT", "vfat", f"studies/{number}")
    begun = time.monotonic()
    site.hand.plug_in("IMPORT")
    site.until(lambda: state_of(site, "IMPORT") == "safe to remove", "the stick is imported")
    told("a stick of 6 images", {"plugged in to safe to remove": time.monotonic() - begun})
    return digests


def state_of(site: Site, name: str) -> object:
    return site.media().get(name, {}).get("state")


def test_a_study_goes_out_on_a_stick_that_is_whole(site: Site) -> None:
    imported = {uid: digest for uid, digest in site.kept().items() if uid.startswith(INSTANCES)}
    assert len(imported) == 6
    (uid,) = {
        each["study_instance_uid"]
        for each in site.box.ask_node("studies")
        if each["patient_id"] != "4711"
    }
    site.hand.make_stick("EXPORT", "vfat")
    site.hand.plug_in("EXPORT")
    site.until(lambda: site.media().get("EXPORT", {}).get("folder"), "the stick is mounted")
    folder = site.media()["EXPORT"]["folder"]
    begun = time.monotonic()
    said = site.box.check(f"gantry export {folder} --study {uid} --wait", seconds=PATIENCE)
    told("an export of 6 images", {"asked for to completed": time.monotonic() - begun})
    # What is said to be completed is on the stick, also if nobody lets it go.
    site.hand.pull("EXPORT")
    expected = {"before": {}, "after": imported, "files": {}}
    judged = site.hand.judge("EXPORT", "vfat", expected)
    assert judged["state"] == NEW, (judged, said)
    assert judged["checked"].startswith(("0:", "1:")) and len(judged["checked"]) < 5, judged
    site.until(lambda: not site.media(), "the stick is gone")


def test_a_disc_is_imported_and_pushed_out_and_so_is_the_next_one(site: Site) -> None:
    for number, label in ((2, "FIRST"), (3, "SECOND")):
        digests, _ = site.study(number, 4, 64)
        begun = time.monotonic()
        site.hand.insert(label, f"studies/{number}")

        site.until(
            lambda discs=number - 1: (
                len(journal(site, "safe to remove.*sr0").splitlines()) == discs
            ),
            f"disc {label} is imported",
        )
        told(f"disc {number - 1}", {"put in to safe to remove": time.monotonic() - begun})
        site.hospital.wait_for(digests, seconds=PATIENCE)
        site.until(lambda: not site.media(), f"disc {label} is out")


def test_delivery_goes_on_when_the_cable_is_back(site: Site) -> None:
    digests, files = site.study(4, 12, 512)
    before = len(site.hospital.archive.received())
    slow = "delay 60ms loss 1% rate 4mbit"
    with_card = (
        f"card=$(basename $(dirname $(grep -l {CARDS['hospital']} /sys/class/net/*/address)))"
    )
    site.box.check(f"modprobe sch_netem; {with_card}; tc qdisc add dev $card root netem {slow}")
    # The modality stands at the other card.
    dcmsend(site.modality_port, *files, seconds=PATIENCE).check()
    accepted = time.monotonic()

    def arrived() -> int:
        return len(site.hospital.archive.received()) - before

    site.until(lambda: arrived() >= 3, "the first objects are delivered")
    site.box.pull_cable("hospital")
    site.until(
        lambda: site.box.check(f"{with_card}; cat /sys/class/net/$card/carrier") == "0",
        "the cable is out",
    )
    at_the_cut, cut = arrived(), time.monotonic()
    time.sleep(45)
    assert at_the_cut < len(digests) and arrived() <= at_the_cut + 1, "nothing goes out"
    assert dcmsend_echo(site), "the modality is served meanwhile"
    site.box.plug_cable("hospital")
    back = time.monotonic()
    site.hospital.wait_for(digests, seconds=PATIENCE)
    told(
        f"{len(digests)} objects over a line with {slow}, cut after {at_the_cut}",
        {
            "the modality has been told of success to the cut": cut - accepted,
            "the cable is out": back - cut,
            "the cable is back to the last object": time.monotonic() - back,
        },
    )
    site.until(lambda: site.box.ask_node("queue") == [], "the queue is empty")
    site.box.check(f"{with_card}; tc qdisc del dev $card root")


def dcmsend_echo(site: Site) -> bool:
    return echoscu(site.modality_port, "-td", "60", seconds=100.0).returncode == 0


def test_a_node_that_hangs_is_started_again(site: Site) -> None:
    before = site.node()
    begun = time.monotonic()
    site.box.check(f"kill -STOP {before}")
    # Who calls now waits at the socket of systemd.
    answered = site.wait_for_echo(begun)
    assert site.node() != before
    assert journal(site, "Watchdog timeout")
    told("the node is stopped by SIGSTOP", {"to the next C-ECHO": answered})


def test_a_kernel_that_is_dead_is_reset_and_nothing_acknowledged_is_lost(site: Site) -> None:
    digests, files = site.study(5, 40, 64)
    site.hospital.archive.stop()

    moments = []

    def crash() -> None:
        moments.append(time.monotonic())
        site.hand.connect()
        # panic=0: it stays as it is, and nothing in the machine can help.
        site.box.say("echo c >/proc/sysrq-trigger")

    acknowledged = store_until_cut(site.modality_port, files, after=10, then=crash)
    assert "sysrq triggered crash" in site.box.said()
    assert "WATCHDOG" in site.box.until_reset(seconds=PATIENCE)
    back = site.wait_for_echo(moments[0])
    kept = site.kept()
    assert all(kept.get(uid) == digests[uid] for uid in acknowledged), "lost"
    site.hospital.archive.start()
    site.hospital.wait_for({uid: digests[uid] for uid in acknowledged}, seconds=PATIENCE)
    told(
        f"the kernel crashes after {len(acknowledged)} objects were acknowledged: all delivered",
        {"crash to the next C-ECHO": back},
    )


def store_until_cut(
    port: int, files: list[Path], *, after: int, then: Callable[[], None]
) -> list[str]:
    """C-STORE one by one; the SOP Instance UIDs that were answered with success. After so many
    something happens that ends it."""
    entity = AE(ae_title="MODALITY")
    entity.dimse_timeout = entity.network_timeout = 60.0
    first = dcmread(files[0])
    entity.add_requested_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", port, ae_title="GANTRY")
    assert association.is_established
    answered = []
    for file in files:
        image = dcmread(file)
        if not association.is_established:
            break
        status = association.send_c_store(image).get("Status")
        if status is None:
            break
        assert status == 0, status
        answered.append(str(image.SOPInstanceUID))
        if len(answered) == after:
            then()
    association.abort()
    assert after <= len(answered) < len(files), f"{len(answered)} of {len(files)} were answered"
    return answered


def test_an_init_that_is_dead_is_reset(site: Site) -> None:
    """systemd that has crashed freezes: units run on, and nobody feeds the watchdog any more."""
    begun = time.monotonic()
    assert "WATCHDOG" in site.box.until_reset("kill -SEGV 1", seconds=PATIENCE)
    back = site.wait_for_echo(begun)
    told("the first process crashes", {"to the next C-ECHO": back})


def test_the_demo_passes_on_the_device(site: Site) -> None:
    old = site.hospital.old_archive
    to = f"gantry demo --to {HOST}:{old.port} --called OLD --patience 300"
    print(site.box.check(to, seconds=PATIENCE))
    assert len(old.received()) >= 2
    print(site.box.check("gantry demo --media --patience 300", seconds=PATIENCE))


def test_the_demo_passes_with_the_devices_of_the_box(site: Site) -> None:
    """The whole examination: its own two nodes, the box's camera and foot switch."""
    site.box.check("systemctl stop gantry")
    site.box.check(f"cat >/tmp/devices.toml <<'END'\n{_DEMO_DEVICES}END")
    site.box.check(
        "systemd-run --unit=demo --property=StandardOutput=file:/tmp/demo "
        "--property=StandardError=file:/tmp/demo --setenv=PYTHONUNBUFFERED=1 "
        "gantry demo --devices /tmp/devices.toml --patience 300"
    )

    def said() -> str:
        return site.box.check("cat /tmp/demo")

    for asked, pedals in (
        ("an image and a clip", ("left", "right")),
        ("two more", ("left", "left")),
        ("end the examination", ("middle",)),
    ):
        site.until(lambda asked=asked: asked in said() or not is_running(site), asked)
        for each in pedals:
            site.press(each)
            time.sleep(1.0)
    site.until(lambda: not is_running(site), "the demo is over")
    print(said())
    assert "13. retention may delete" in said() and "byte for byte" in said(), said()
    site.box.check("systemctl start gantry")
    site.wait_for_echo(time.monotonic())


def is_running(site: Site) -> bool:
    return site.box.check("systemctl is-active demo || true") == "active"
