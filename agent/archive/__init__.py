"""The archive: the spool of Part 10 files, the index, the durable job queue."""
