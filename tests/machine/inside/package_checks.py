"""Runs in a Debian that has the package, with its own Python: what it does there, as JSON.

A node as its own user, called by DCMTK; then each conversion, judged by DCMTK's decoders.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

PORT = "11112"
CONFIGURATION = f"""
profile = "gateway"
[node]
state = "/var/lib/gantry/checked"
control = "/tmp/gantry-control"
[[entity]]
name = "GANTRY"
port = {PORT}
[entity.accept]
calling = "any"
"""
# Codec to DCMTK's decoder, and whether it gives the picture back bit for bit.
CODECS = {
    "rle": ("dcmdrle", True),
    "jpeg-lossless": ("dcmdjpeg", True),
    "jpeg-lossless-any": ("dcmdjpeg", True),
    "jpeg-ls": ("dcmdjpls", True),
    "jpeg-ls-near": ("dcmdjpls", False),
    "jpeg-baseline": ("dcmdjpeg", False),
    "jpeg-extended": ("dcmdjpeg", False),
    # DCMTK has no decoders of these.
    "encapsulated": (None, True),
    "deflated-frame": (None, True),
}


def do(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def run_a_node(image: Path) -> dict[str, object]:
    """Start it as the service does, and call it."""
    Path("/tmp/gantry.toml").write_text(CONFIGURATION)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind("/tmp/notify")
        Path("/tmp/notify").chmod(0o666)
        told.settimeout(300)
        started = time.monotonic()
        node = subprocess.Popen(
            [
                *("setpriv", "--reuid=gantry", "--regid=gantry", "--init-groups", "--"),
                *("gantry", "run", "--config", "/tmp/gantry.toml"),
            ],
            env={**os.environ, "NOTIFY_SOCKET": "/tmp/notify"},
            stderr=sys.stderr,
        )
        try:
            while b"READY=1" not in told.recv(4096):
                pass
            ready = time.monotonic() - started
            do("echoscu", "-aec", "GANTRY", "127.0.0.1", PORT)
            do("storescu", "-aec", "GANTRY", "127.0.0.1", PORT, str(image))
            (kept,) = Path("/var/lib/gantry/checked").rglob("*.dcm")
            owner = kept.owner()
        finally:
            node.terminate()
            status = node.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "ready": round(ready, 2),
        "status": status,
        "owner": owner,
        "processor": round(used.ru_utime + used.ru_stime, 2),
    }


def picture(file: Path) -> bytes:
    """The raw picture as DCMTK shows it."""
    shown = file.with_suffix(".pnm")
    do("dcm2pnm", "--write-raw-pnm", str(file), str(shown))
    return shown.read_bytes()


def convert(image: Path, folder: Path) -> dict[str, str]:
    """What came of each codec: "same", "close" or "other"."""
    original = picture(image)
    found = {}
    for codec, (decoder, is_lossless) in CODECS.items():
        packed, plain = folder / f"{codec}.dcm", folder / f"{codec}-plain.dcm"
        do("gantry", "convert", str(image), str(packed), "--to", codec)
        if decoder:
            do(decoder, str(packed), str(plain))
        else:
            do("gantry", "convert", str(packed), str(plain), "--to", "explicit")
        shown = picture(plain)
        largest = max(abs(a - b) for a, b in zip(shown, original, strict=True))
        found[codec] = "same" if largest == 0 else "close" if largest < 64 else "other"
        if is_lossless != (largest == 0):
            found[codec] += f" ({largest})"
    return found


def main(image: Path, folder: Path) -> None:
    do("ip", "link", "set", "lo", "up")
    report = {"node": run_a_node(image), "codecs": convert(image, folder)}
    report["version"] = do("gantry", "--version").strip()
    doctor = subprocess.run(["gantry", "doctor", "--offline"], capture_output=True, text=True)
    report["doctor"] = doctor.stdout + doctor.stderr
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
