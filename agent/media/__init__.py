"""Media: file-sets and their DICOMDIR, application profiles, secure files (PS3.10, 3.11, 3.12)."""
