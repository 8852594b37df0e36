"""Claims, their negative controls and their verdicts: what a reviewer reads first.

``claims`` is the ledger's schema, ``verdicts`` decides each claim from the measurements, ``report``
writes the verdicts down. Nothing here knows a system: a new ledger needs no new code.
"""
