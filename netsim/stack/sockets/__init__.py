"""Sockets of a box: descriptors, demultiplexing, UDP, raw and ping sockets, TCP.

`table.py` answers the socket requests and takes deliveries; each protocol is a file (TCP a package). May import the
foundation and wire; reaches routing, output and neighbours through the Protocols in `ports.py`.
"""
