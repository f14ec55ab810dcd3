"""What a person sees of a run: captures, filters, meters, plots, text logs, the report. May import trace, wire, base.

Everything here is made from trace records (meters and captures subscribe to the bus) or from a saved result (plots,
report), never from the world itself. matplotlib is imported in plot/ only, when a figure is drawn.
"""
