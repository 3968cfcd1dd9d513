"""Devices that umockdev makes up, for a process that was started by `umockdev-wrapper`."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

USB = "/devices/pci0000:00/0000:00:14.0/usb1/1-{0}/1-{0}:1.0/host{0}/target{0}:0:0/{0}:0:0:0/block"


class Testbed:
    """The library that umockdev's bindings use, by ctypes: a folder that stands for /sys."""

    __test__ = False

    def __init__(self) -> None:
        library = ctypes.CDLL("libumockdev.so.0")
        library.umockdev_testbed_new.restype = ctypes.c_void_p
        library.umockdev_testbed_add_from_string.argtypes = (
            *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p),
        )
        library.umockdev_testbed_uevent.argtypes = (
            *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p),
        )
        library.umockdev_testbed_remove_device.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        for name in ("property", "attribute"):
            setter = getattr(library, f"umockdev_testbed_set_{name}")
            setter.argtypes = (ctypes.c_void_p, *[ctypes.c_char_p] * 3)
        self._library = library
        self._testbed = library.umockdev_testbed_new()
        self._minor = 0

    def add(self, folder: str, properties: Mapping[str, str], attributes: Mapping[str, str]) -> str:
        """A block device at this folder of sysfs; it is announced at once."""
        name = folder.rpartition("/")[2]
        self._minor += 1
        said = {
            "SUBSYSTEM": "block",
            "DEVTYPE": "disk",
            "DEVNAME": f"/dev/{name}",
            "MAJOR": "259",
            "MINOR": str(self._minor),
            **properties,
        }
        lines = [f"P: {folder}", f"N: {name}"]
        lines += [f"E: {key}={value}" for key, value in said.items()]
        lines += [f"A: {key}={value}\\n" for key, value in attributes.items()]
        text = "\n".join(lines) + "\n\n"
        assert self._library.umockdev_testbed_add_from_string(self._testbed, text.encode(), None)
        return folder

    def announce(self, folder: str, action: str) -> None:
        self._library.umockdev_testbed_uevent(
            self._testbed, f"/sys{folder}".encode(), action.encode()
        )

    def remove(self, folder: str) -> None:
        """As the kernel does: its folder goes, and then that is announced."""
        self.announce(folder, "remove")
        self._library.umockdev_testbed_remove_device(self._testbed, f"/sys{folder}".encode())

    def say(self, folder: str, **properties: str) -> None:
        """What udev finds out of a device later."""
        for name, value in properties.items():
            self._library.umockdev_testbed_set_property(
                self._testbed, f"/sys{folder}".encode(), name.encode(), value.encode()
            )

    def set(self, folder: str, **attributes: str) -> None:
        for name, value in attributes.items():
            self._library.umockdev_testbed_set_attribute(
                self._testbed, f"/sys{folder}".encode(), name.encode(), value.encode()
            )

    def usb_disk(self, number: int, name: str, **properties: str) -> str:
        """A stick of 1 GB that another maker has sold under a name of its own."""
        said = {
            "ID_BUS": "usb",
            "IDUSB_DRIVER": "usb-storage",
            "ID_VENDOR": "Maker",
            "ID_MODEL": "Fast_Stick",
            "ID_SERIAL": "Maker_Fast_Stick_S1",
            "ID_SERIAL_SHORT": f"S{number}",
            **properties,
        }
        return self.add(f"{USB.format(number)}/{name}", said, {"size": "2000000", "ro": "0"})

    def partition(self, disk: str, number: int, **properties: str) -> str:
        name = disk.rpartition("/")[2]
        said = {"DEVTYPE": "partition", "ID_PART_ENTRY_NUMBER": str(number), **properties}
        attributes = {"size": "1000000", "ro": "0", "partition": str(number)}
        return self.add(f"{disk}/{name}{number}", said, attributes)
