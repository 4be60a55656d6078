"""Upgrades and rolls back, on one local AWS, while transactions are open: what one version has begun, the other ends.

`versions.py` has the commit that is taken for the version before; `world.py` opens and ends transactions.
"""
