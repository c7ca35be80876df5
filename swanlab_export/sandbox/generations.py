"""Which generation of servers offers which endpoint.

Self-hosted servers are older than the public one. Each generation is named after a server release
and offers what the clients of its time called: 2.6 the clients 0.7, 2.8 the clients 0.8, and 3.1
the clients 0.9 and 0.10.
"""

from __future__ import annotations

GENERATIONS = ("2.6", "2.8", "3.1")
NEWEST = GENERATIONS[-1]

# Endpoint → the first generation that offers it; the rest is offered by all.
_SINCE = {
    "GET /group/<username>": "2.8",
    "GET /user/profile": "2.8",
    "POST /house/metrics/scalar": "2.8",
    "POST /house/metrics/scalar/value": "2.8",
    "POST /house/metrics/media": "2.8",
    "POST /house/metrics/f_media": "2.8",
    "GET /house/metrics/log": "2.8",
    "POST /house/metrics/log/export": "2.8",
    "POST /resources/presigned/get": "2.8",
    "POST /files/presigned/get": "2.8",
    "GET /self_hosted/projects": "2.8",
    "GET /self_hosted/groups": "2.8",
    "GET /self_hosted/summary": "2.8",
    "POST /house/metrics/scalar/export": "3.1",
    "POST /house/metrics/<kind>/keys": "3.1",
    "POST /house/metrics/<kind>/availability": "3.1",
}
# Endpoint → the last generation that offers it.
_UNTIL = {
    "GET /group/": "2.6",
    "GET /experiment/<run_id>/column/csv": "2.8",
}
# How many keys one request for sampled points may name.
_SAMPLED_KEYS = {"2.8": 4, "3.1": 16}


# Generations that keep TEXT media as texts, and not as files.
_TEXTS_INSIDE = ("2.6", "2.8")


def has_texts_inside(generation: str) -> bool:
    """Whether TEXT media come as texts instead of the paths of files."""
    return generation in _TEXTS_INSIDE


def is_offered(endpoint: str, generation: str) -> bool:
    """Whether servers of ``generation`` have an endpoint such as ``GET /user/profile``."""
    since = _SINCE.get(endpoint, GENERATIONS[0])
    until = _UNTIL.get(endpoint, NEWEST)
    rank = GENERATIONS.index
    return rank(since) <= rank(generation) <= rank(until)


def sampled_keys_max(generation: str) -> int:
    """How many keys one request for sampled points or statistics may name."""
    return _SAMPLED_KEYS[generation]
