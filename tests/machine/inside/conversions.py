"""A folder of images into each transfer syntax by `gantry convert`: what came out, as JSON.

    python conversions.py INTO SYNTAX,SYNTAX... COMMAND...

It runs in the folder that holds `images`, here and in the machine, and the answers must be the
same: by syntax the exit status, what was said, and by file the SHA-256 of all its bytes.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def converted(into: Path, syntax: str, command: Sequence[str]) -> dict[str, object]:
    """One syntax. Images that it cannot hold are refused, with the same words everywhere."""
    target = into / syntax
    done = subprocess.run(
        [*command, "convert", "images", str(target), "--to", syntax],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return {
        "status": done.returncode,
        "said": (done.stdout + done.stderr).replace(str(target), "OUT"),
        "files": {
            each.name: hashlib.sha256(each.read_bytes()).hexdigest()
            for each in sorted(target.rglob("*.dcm"))
        },
    }


def main(into: Path, syntaxes: Sequence[str], command: Sequence[str]) -> None:
    json.dump({each: converted(into, each, command) for each in syntaxes}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:])
