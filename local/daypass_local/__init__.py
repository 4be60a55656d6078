"""A local AWS for Daypass: a patched in-process engine, its seed data, and the commands that deploy and play on it.

`python -m daypass_local --help` lists the commands. Start reading at `engine` (the server), `stack` (up and down) or
`demo` (the main job, played with the invoker's credentials).
"""
