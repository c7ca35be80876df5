"""``api.doctor``: what a server offers, and where it differs from what is declared."""

from __future__ import annotations

from swanlab_export import schemas
from swanlab_export.api.context import Result
from swanlab_export.api.resource import F, Resource
from swanlab_export.normalizers.rows import build_table


class Doctor(Resource[F]):
    """What the server of a connection offers."""

    def doctor(self, path: str) -> F:
        """What this server offers, for a report of a problem; one row per endpoint.

        Every endpoint that reads is asked once for one run. The table holds no value of any
        response: no name, key, number or URL. A warning sums it up.

        Args:
            path: A run, best one with metrics, media and a log.

        Raises:
            NotFoundError: There is no such run.

        Source: every endpoint; ``endpoints/checks.py`` declares what each payload is.

        >>> import warnings, swanlab_export as se
        >>> with warnings.catch_warnings(action="ignore"), se.connect(host="sandbox") as api:
        ...     found = api.doctor("ada-lab/digits/mlp-adam")
        >>> found.loc[found["endpoint"] == "GET /user/profile", "result"].item()
        'as declared'
        """
        # What each endpoint has to send is for no other command.
        from swanlab_export.api.checkup import ask_endpoints, summarize

        ref = self._context.run_ref(path)
        report = self._output.begin(schemas.ENDPOINTS)
        context = self._context
        rows = ask_endpoints(context, ref)
        report.hint(summarize(rows))
        # Neither host nor path: people attach the file to an issue.
        source = {"command": "doctor", "options": {}, "fetched_at_ms": context.now_ms()}
        result = Result(lambda: build_table(schemas.ENDPOINTS, rows, report), lambda: rows, source)
        return self._output.deliver(result, report)
