"""Data sets (PS3.5, PS3.6): streaming reader and writer, character sets, UIDs, registries."""
