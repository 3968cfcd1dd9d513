import re
import time

from hal.board import Throttling, read_board, temperature, throttling
from hal.clock import MonotonicClock, calendar, offset_from_utc


def write(root, path, content):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def test_a_raspberry_pi_is_known_by_its_device_tree(tmp_path):
    write(tmp_path, "proc/device-tree/model", b"Raspberry Pi 4 Model B Rev 1.4\0")
    write(tmp_path, "proc/device-tree/serial-number", b"10000000abcdef01\0")
    write(tmp_path, "etc/machine-id", b"0123456789abcdef0123456789abcdef\n")
    write(tmp_path, "proc/meminfo", b"MemTotal:        3884360 kB\nMemFree: 1 kB\n")
    board = read_board(tmp_path)
    assert board.model == "Raspberry Pi 4 Model B Rev 1.4"
    assert board.serial_number == "10000000abcdef01"
    assert board.memory == 3884360 * 1024
    identity = board.application_id(b"gantry")
    assert re.fullmatch("[0-9a-f]{32}", identity) and identity != board.machine_id
    assert identity != board.application_id(b"other")


def test_a_personal_computer_is_known_by_dmi_and_an_old_board_by_its_processor(tmp_path):
    write(tmp_path, "sys/class/dmi/id/product_name", b"Standard PC\n")
    write(tmp_path, "proc/cpuinfo", b"processor : 0\nSerial\t\t: 00000000deadbeef\n")
    board = read_board(tmp_path)
    assert (board.model, board.serial_number) == ("Standard PC", "00000000deadbeef")


def test_what_a_board_does_not_have_is_empty(tmp_path):
    board = read_board(tmp_path)
    assert (board.model, board.serial_number, board.machine_id, board.memory) == ("", "", "", None)
    assert board.application_id(b"gantry") == ""
    assert temperature(tmp_path) is None and throttling(tmp_path) is None


def test_the_hottest_sensor_counts_and_dead_ones_do_not(tmp_path):
    for number, content in enumerate((b"48312\n", b"61000\n", b"0\n", b"-274000\n", b"junk\n")):
        write(tmp_path, f"sys/class/thermal/thermal_zone{number}/temp", content)
    assert temperature(tmp_path) == 61.0


def test_throttling_is_read_from_the_firmware(tmp_path):
    path = "sys/devices/platform/soc/soc:firmware/get_throttled"
    write(tmp_path, path, b"50005\n")
    found = throttling(tmp_path)
    assert found == Throttling.of_bits(0x50005)
    assert found.under_voltage and found.throttled and not found.frequency_capped
    assert found.under_voltage_occurred and found.throttled_occurred
    write(tmp_path, path, b"junk")
    assert throttling(tmp_path) is None


def test_this_machine_can_be_asked():
    assert read_board().processors >= 1
    assert calendar().synchronised in (True, False, None)


def test_a_clock_before_the_software_was_made_is_not_set(tmp_path):
    (tmp_path / "rtc0").touch()
    state = calendar(wall=0.0, device_folder=tmp_path)
    assert not state.plausible and not state.set and "before" in state.reason


def test_a_battery_or_a_time_server_makes_a_plausible_clock_set(tmp_path):
    now = time.time()
    without = calendar(wall=now, device_folder=tmp_path)
    assert without.set is (without.synchronised is True)
    assert bool(without.reason) is not without.set
    (tmp_path / "rtc0").touch()
    assert calendar(wall=now, device_folder=tmp_path).set
    assert not calendar(wall=now, earliest=now + 1, device_folder=tmp_path).set


def test_where_a_time_server_is_wanted_a_battery_is_not_enough(tmp_path, monkeypatch):
    (tmp_path / "rtc0").touch()
    for kernel, words in (
        ((False, None), "no time server has been reached, and a battery clock is not enough here"),
        ((True, 0.0123), "set by a time server, within 0.012 s"),
    ):
        monkeypatch.setattr("hal.clock._kernel_state", lambda said=kernel: said)
        state = calendar(needs_server=True, device_folder=tmp_path)
        assert (state.set, state.words) == (kernel[0], words)
    monkeypatch.setattr("hal.clock._kernel_state", lambda: (False, None))
    state = calendar(device_folder=tmp_path)
    assert state.set and state.words == "set by a battery clock; no time server has been reached"


def test_a_kernel_that_may_not_be_asked_leaves_the_mark_of_timesyncd(tmp_path, monkeypatch):
    monkeypatch.setattr("hal.clock._kernel_state", lambda: (None, None))
    mark = tmp_path / "synchronized"
    assert calendar(device_folder=tmp_path, mark=mark).synchronised is None
    mark.touch()
    state = calendar(device_folder=tmp_path, mark=mark)
    assert state.set and state.words == "set by a time server"


def test_the_offset_is_written_as_dicom_does(monkeypatch):
    for zone, written in (("IST-5:30", "+0530"), ("BRT3", "-0300"), ("UTC", "+0000")):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert offset_from_utc(1_750_000_000) == written
    monkeypatch.undo()
    time.tzset()


def test_the_monotonic_clock_is_the_kernels():
    assert abs(MonotonicClock().now() - time.monotonic()) < 1
