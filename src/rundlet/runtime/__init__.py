"""One container: an OCI config becomes operations, a launch, a process; and the supervisor that keeps them.

Standard library alone and no event loop of anyone else's: it runs between clone and exec. It knows nothing of
images, names, networks or logs.
"""
