"""Boxes under attack and the frames they are attacked with.

`victims` builds boxes and keeps their books, `frames` writes what arrives.
"""
