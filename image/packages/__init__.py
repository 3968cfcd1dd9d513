"""The Debian packages: what is in them, and how they are written."""
