"""The façade people script: a network on a clock, its nodes, its links, its events.

Nothing above topology is known here; scenario, the referee and the live rooms build on it.
"""

from netsim.lab.handles import LabLink, LabNetfilter, LabNode
from netsim.lab.lab import Describe, Lab, describe_plainly, finish
from netsim.lab.set_up import Refused

__all__ = ["Describe", "Lab", "LabLink", "LabNetfilter", "LabNode", "Refused", "describe_plainly", "finish"]
