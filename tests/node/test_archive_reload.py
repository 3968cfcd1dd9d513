"""An archive that a reload brings back: what was going on in it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import generate_uid

from tests.checklists.test_import_integrator import image, medium, uids_of
from tests.node.running import NodeProcess, peer_table
from tests.node.test_steps import until
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.process import free_port


def test_imports_of_an_archive_that_is_back_go_on(tmp_path: Path, start_peer: Any) -> None:
    port = free_port()
    route = peer_table("PACS", port)
    both = (
        f'[[archive]]\nname = "main"\n[[archive]]\nname = "second"\nfolder = "{tmp_path}/second"\n'
    )
    images = [image(generate_uid(), number) for number in range(3)]
    with NodeProcess(tmp_path / "node", both + route) as node:

        def imports() -> list[dict[str, Any]]:
            return list(node.ask("import-list")["items"])

        root = medium(tmp_path / "cd", images)
        node.ask("import-begin", root=str(root), archive="second")
        until(lambda: imports()[0]["copied"], lambda: node.log)
        # It waits for what is delivered now.
        node.kill()
        node.write(route)
        node.start()
        assert imports() == []
        node.write(both + route)
        node.reload()
        assert [each["state"] for each in imports()] == ["IN PROGRESS"]
        pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs", port=port))
        received = {str(dcmread(each).SOPInstanceUID) for each in pacs.wait_for_files(3)}
        assert received == uids_of(images)
        until(lambda: imports()[0]["state"] == "COMPLETED", lambda: node.log)
