"""The chaos soak: recipes (small numbers that hypothesis draws and shrinks) become scenarios that are watched.

recipe -> network + storm -> a scenario as a file would hold it -> watch -> what broke.
"""
