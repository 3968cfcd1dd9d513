"""Builders of the composite objects that the box creates (floor 4).

An object is a row of `iods.IODS`, made of modules, which are tables in `modules.MODULES`; what
goes into it comes from the dataclasses of `description`; `composite.begin` writes its head and
takes its frames. Adding an object is a row and, where it has a module of its own, a table.
"""
