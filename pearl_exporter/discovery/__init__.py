"""What the platform says beside calls: which outbounds there are, and how the account stands.

`Platform` asks for both at intervals and saves what was discovered; `selection` decides, purely,
which outbounds are polled and under which names.
"""
