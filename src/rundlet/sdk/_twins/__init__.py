"""What cannot be generated from one source, once for each colour: ``async_`` and ``sync`` offer the same names.

Everything that blocks is here, so that the rest of the SDK is the same program twice. The two modules never
meet: who imports the sync one gets no asyncio.
"""
