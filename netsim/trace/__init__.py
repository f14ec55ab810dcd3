"""What happened, as typed records: the record types, the bus that carries them, the digest over them.

May import wire and base. Everything a user sees (captures, metrics, plots, verdicts) is made from these records.
"""
