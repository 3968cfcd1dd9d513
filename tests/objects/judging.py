"""Objects as others see them: dciodvfy's verdict, and what DCMTK reads."""

import re
import subprocess

import numpy
import pydicom

from tests.objects.wrong_errors import is_wrong
from tests.peers.dicom3tools import dciodvfy
from tests.peers.programs import program


def errors_of(path):
    """The checker's errors, without those that are wrong."""
    read = pydicom.dcmread(path, stop_before_pixels=True)
    photometric = read.get("PhotometricInterpretation", "")
    syntax = read.file_meta.TransferSyntaxUID
    return [
        line for line in dciodvfy(path) if not is_wrong(line, read.SOPClassUID, photometric, syntax)
    ]


def dump(path):
    """The object as dcmdump prints it; it must read it without a complaint."""
    return by_dcmtk("dcmdump", "-q", path)


def by_dcmtk(name, *arguments):
    """What a program of DCMTK prints; it must end well."""
    ended = subprocess.run(
        [program("dcmtk", name), *map(str, arguments)], capture_output=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.decode("utf-8", "replace")


def pixels_by_dcmtk(path):
    """The first frame as dcmj2pnm shows it without a window."""
    target = path.with_suffix(".pnm")
    by_dcmtk("dcmj2pnm", "+op", "-W", path, target)
    return read_pnm(target)


def read_pnm(path):
    """A binary PGM or PPM file of 8 bits."""
    data = path.read_bytes()
    match = re.match(rb"(P[56])\s+(?:#[^\n]*\n)?(\d+)\s+(\d+)\s+255\s", data)
    assert match is not None
    columns, rows = int(match[2]), int(match[3])
    samples = numpy.frombuffer(data[match.end() :], dtype=numpy.uint8)
    return samples.reshape((rows, columns) if match[1] == b"P5" else (rows, columns, 3))
