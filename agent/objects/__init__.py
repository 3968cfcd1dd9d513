"""Builders of the composite objects that the box creates (floor 4).

An object is a row of `iods.IODS`, made of modules, which are tables in `modules.MODULES`; both are
gathered from one module for each family (`ultrasound`, `projection`, `report_iods`, ...). What goes
into an object comes from the dataclasses of `description`, and from there out of a worklist entry
and a device's template (`request_attributes`, `device_template`). Adding an object is a row and,
where it has a module of its own, a table.

Writers: `composite.begin` takes images frame by frame, `video.begin_video` a video stream,
`waveforms.begin_waveform` samples, `encapsulated_documents.encapsulate` a file;
`reports.write_report` writes a content tree (`content_tree`, `dose_report`), and
`presentation_states.write_presentation_state` a presentation state.
"""
