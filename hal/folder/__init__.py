"""Folders into which other software drops files: when is a file complete?"""
