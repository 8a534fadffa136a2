"""The documentation site: built by MkDocs from `docs/`, with its reference pages made from the code itself.

`language`, `api`, `commands` and `settings` write a page each from the published JSON Schema, the OpenAPI document, the
command line and the table of settings, while the site is built: nothing of them is kept, so nothing of them can be out
of date. `hooks` hands them to MkDocs, and leads links that leave `docs/` to where that file is in the site. `pages`
says which pages there are. `python -P -m handbook build` is what `./krsync docs` runs.
"""
