"""What the server offers, one module per noun: each ``fetch_*`` is one request and no logic.

Wire names stay in here and in ``normalizers``. The facts are those of the official client 0.10.
"""
