"""What runs in the processes that Millrace starts for scripts.

Needs Python 3.8 and its standard library only; NumPy where a script asks for tensors or gives
arrays. The server's end and the format between the two are described in the Java package
dev.millrace.backend.python.
"""
