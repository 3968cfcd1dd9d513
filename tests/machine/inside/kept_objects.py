"""What a box keeps: SOP Instance UIDs with the digests of their data sets, as JSON on one line.

Read by the shell of the box, as root, with the modules of the installed package.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, "/usr/lib/gantry/packages")

from agent.dataset.file_meta import read_file_meta

found = {}
for path in Path("/var/lib/gantry").rglob("*.dcm"):
    with path.open("rb") as file:
        meta = read_file_meta(file.fileno())
        file.seek(meta.data_set_offset)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    assert found.setdefault(meta.media_storage_sop_instance_uid, digest) == digest, path
print(json.dumps(found))
