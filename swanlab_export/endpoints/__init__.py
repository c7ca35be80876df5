"""What the server offers, one module per resource.

A ``fetch_*`` or ``create_*`` is one request, a ``*_page`` builds the request for one page, and a
``read_*`` reads a payload by the server's own names, which stay in here and in ``normalizers``.
The facts are those of the official client 0.10.
"""
