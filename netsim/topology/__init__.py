"""A network as data: the model of a topology, its networkx graph both ways, graph files and generators.

May import sim and everything below it; networkx is imported here only, and only when a graph is wanted.
"""
