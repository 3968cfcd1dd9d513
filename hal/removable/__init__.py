"""Removable media: sticks, cards and discs that come, are mounted, and go or are pulled."""
