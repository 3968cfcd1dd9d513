"""Opening what somebody names as a medium: a folder, a ZIP file, a mail."""

from __future__ import annotations

import os
from pathlib import Path

from agent.errors import StorageError
from agent.media.file_ids import open_file
from agent.media.opening import NO_OPENER, Opener
from agent.media.tree import FolderTree, PackedTree, Tree, zipped_files
from agent.media.zip_reading import is_zip
from agent.quoting import quoted


def tree_of(root: Path, opener: Opener = NO_OPENER) -> Tree:
    """The files of a folder, or of a ZIP file or a mail.

    Raises StorageError for what is none of these, or is damaged; OSError.
    """
    if root.is_dir():
        return FolderTree(root, opener)
    if not root.is_file():
        raise StorageError(f"{quoted(root)} is not a folder that can be read.", value=str(root))
    archive = open_file(root)
    try:
        if is_zip(archive):
            return PackedTree(zipped_files(archive), opener, (archive,))
        # The parser of headers takes some MiB, and mails are few.
        from agent.media.mail_reading import tree_of_mail
        from agent.media.mail_structure import is_mail

        if is_mail(archive):
            return tree_of_mail(archive, opener)
    except StorageError as error:
        raise StorageError(
            f"{quoted(root)}: {quoted(error.message)}",
            clause=error.clause,
            value=error.value,
            limit=error.limit,
            way_out=f"{quoted(error.way_out)}",
        ) from error
    os.close(archive)
    raise StorageError(
        f"{quoted(root)} is neither a folder nor a ZIP file nor a mail.",
        value=str(root),
        way_out="Name the root of a medium, a ZIP file with a file-set, or a mail.",
    )
