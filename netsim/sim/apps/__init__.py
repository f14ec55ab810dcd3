"""Applications: what sends and receives in a scenario, one file a kind.

A flow names itself in each record it publishes. Periodic senders run on light timers, conversations as processes.
"""
