"""Octets: header codecs, checksums, drop reasons, and the scapy view of a frame. May import base only.

Nothing here knows a box or a clock. scapy is imported in scapy_view.py alone, when a person first touches a packet.
"""
