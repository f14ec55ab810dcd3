"""Recorded kernel cases played again in the emulator.

`case` reads tests/data/linux-cases; `lab` builds a case's network and plays its timeline; `verbs` are the timeline's
actions, `clients` two of its programs; `packets` prints a frame as the recorder does; `compare` pairs what was recorded
with what was played; `reduce` makes the data of a recording, `fit` finds what it does not tell. May be imported
by tests only: tests/scenario/conftest.py puts the directory on the path.
"""
