"""``api.run``: which keys and columns a run has."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.api.arrange import Arrangement
from swanlab_export.api.context import Result
from swanlab_export.api.lists import Paging, list_result
from swanlab_export.api.partial import Partial
from swanlab_export.api.resource import F, Resource, check_choice
from swanlab_export.api.runs.find import find_run
from swanlab_export.api.runs.keys import fetch_keys
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.errors import NotFoundError, ServerError, UsageError
from swanlab_export.limits import COLUMN_CLASSES, COLUMN_TYPES, METRIC_TYPES, PAGE_SIZES
from swanlab_export.messages import argument, command, quote
from swanlab_export.normalizers.details import key_class, normalize_columns, normalize_series
from swanlab_export.pagination import Pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.client import Request
    from swanlab_export.report import Report

# How a server may say that it has no columns: that they were removed, or are not for this project.
_NO_COLUMNS = {400, 404, 405, 410, 501}


class RunColumns(Resource[F]):
    """Keys and columns of runs."""

    def series(
        self,
        path: str,
        *,
        metric_type: str = "SCALAR",
        metric_class: str | None = "CUSTOM",
        search: str | None = None,
        limit: int | None = None,
        sort: str | Sequence[str] | None = None,
        varying: bool = False,
        partial: bool = False,
    ) -> F:
        """Keys that a run has; one row each.

        Args:
            path: The run.
            metric_type: SCALAR or MEDIA.
            metric_class: CUSTOM (logged by the user), SYSTEM, or None for both.
            search: Only keys that contain this.
            limit: Only the first so many keys.
            sort: Columns that give the order, ``-`` before a name for descending.
            varying: Only columns that identify a row or differ between rows.
            partial: Leave out what fails, and say what.

        Raises:
            NotFoundError: There is no such run.
            ServerError: The list of keys does not end.

        Source: ``POST /house/metrics/{scalar,media}/keys``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     found = api.run.series("ada-lab/digits/diverged", search="val/")
        >>> found["key"].tolist()
        ['val/acc', 'val/loss']
        """
        ref = self._context.run_ref(path)
        metric_type = check_choice("metric_type", metric_type, METRIC_TYPES)
        metric_class = _check_class("metric_class", metric_class)
        arrangement = Arrangement.parse(sort, limit, varying=varying)
        report = self._output.begin(schemas.SERIES)
        run = find_run(self._context, ref, report)
        keys = [
            key
            for key in fetch_keys(
                self._context.client,
                [run.source],
                metric_type,
                Partial(report, is_wanted=partial),
            )
            if (metric_class is None or key_class(key, metric_type) == metric_class)
            and (search is None or search.lower() in key.lower())
        ]
        if not keys:
            chosen = " ".join(filter(None, (metric_class, metric_type))).lower()
            named = f" with {quote(search)} in its name" if search else ""
            report.hint(f"{ref} has no {chosen} key{named}")
        result = Result(
            lambda: arrangement.apply(normalize_series(keys, report, run.run_id, metric_type)),
            lambda: list(arrangement.first(keys)),
            self._context.source(
                "run series",
                ref,
                metric_type=metric_type,
                metric_class=metric_class,
                search=search,
                partial=partial,
                **arrangement.options(),
            ),
        )
        return self._output.deliver(result, report)

    def columns(
        self,
        path: str,
        *,
        column_class: str | None = "CUSTOM",
        column_type: str | None = None,
        search: str | None = None,
        all: bool | None = None,
        page: int | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        sort: str | Sequence[str] | None = None,
        varying: bool = False,
        partial: bool = False,
    ) -> F:
        """Columns of a run, with the type of their data; one row per key.

        Args:
            path: The run.
            column_class: CUSTOM (logged by the user), SYSTEM, or None for both.
            column_type: Only columns of FLOAT, STRING, IMAGE and so on.
            search: Only columns whose name contains this.
            all: Every column; the default unless a page is asked for.
            page: Only this page, from 1.
            page_size: Rows per page.
            limit: Only the first so many columns.
            sort: Columns that give the order, ``-`` before a name for descending.
            varying: Only columns that identify a row or differ between rows.
            partial: Leave out what fails, and say what.

        Raises:
            NotFoundError: There is no such run.
            IncompleteError: Fewer columns came than were announced.

        Source: ``GET /experiment/{id}/column``, which is deprecated, and missing for newer projects;
        there the keys, without types.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     found = api.run.columns("ada-lab/digits/mlp-adam", column_type="IMAGE")
        >>> found["key"].tolist()
        ['val/wrong digits', 'val/confusion']
        """
        ref = self._context.run_ref(path)
        paging = Paging.parse(all, page, page_size, Arrangement.parse(sort, limit, varying=varying))
        column_class = _check_class("column_class", column_class)
        column_type = _check_type(column_type)
        report = self._output.begin(schemas.COLUMNS)
        run = find_run(self._context, ref, report)
        wanted = {"search": search, "column_class": column_class, "column_type": column_type}

        def or_keys(pages: Pages) -> Iterator[Any]:
            # A page behind the last one is empty.
            is_sure = not paging.all and paging.page > 1
            columns, are_keys = self._or_keys(
                pages, run, report, search, column_class, column_type, is_sure=is_sure
            )
            yield from _part_of(list(columns), paging) if are_keys else columns

        result = list_result(
            self._context,
            report,
            paging,
            _pages_of(run.run_id, search, column_class, column_type),
            endpoint.identify_column,
            "columns",
            lambda columns: normalize_columns(columns, report, run.run_id),
            self._context.source("run columns", ref, **paging.options(), **wanted, partial=partial),
            Partial(report, is_wanted=partial),
            or_keys,
        )
        return self._output.deliver(result, report)

    def column(
        self,
        path: str,
        key: str,
        *,
        column_class: str | None = "CUSTOM",
        column_type: str | None = None,
    ) -> F:
        """One column: the one whose key is exactly ``key``, else the first match; one row.

        Args:
            path: The run.
            key: The key, or a part of a column's name.
            column_class: CUSTOM (logged by the user), SYSTEM, or None for both.
            column_type: Only a column of FLOAT, STRING, IMAGE and so on.

        Raises:
            NotFoundError: Nothing matches.

        Source: ``GET /experiment/{id}/column``. The server searches names, and the name of a
        column can differ from its key: where no match has this key, all columns are read.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.run.column("ada-lab/digits/diverged", "loss")["name"].item()
        'loss'
        """
        ref = self._context.run_ref(path)
        if not key.strip():
            raise UsageError(f"{argument('key')} is empty")
        column_class = _check_class("column_class", column_class)
        column_type = _check_type(column_type)
        report = self._output.begin(schemas.COLUMNS)
        run = find_run(self._context, ref, report)

        def read(search: str | None) -> list[Any]:
            pages = Pages(
                self._context.client,
                _pages_of(run.run_id, search, column_class, column_type),
                endpoint.identify_column,
                page=1,
                size=PAGE_SIZES[-1],
                all=True,
                title="columns",
                progress=self._context.progress,
                report=report,
            )
            columns, _ = self._or_keys(pages, run, report, search, column_class, column_type)
            return list(columns)

        found = read(key)
        exact = _of_key(found, key) or _of_key(read(None), key)
        if exact is None and not found:
            wanted = " ".join(filter(None, (column_class, column_type)))
            see = command("run columns")
            raise NotFoundError(f"{ref} has no {wanted} column {quote(key)}; see {see}")
        if exact is None:
            first = f"this is the first of {len(found)} matches"
            report.warn(f"no column is exactly {quote(key)}: {first}")
        payload = exact or found[0]
        result = Result(
            lambda: normalize_columns([payload], report, run.run_id, is_single=True),
            lambda: payload,
            self._context.source(
                "run column", ref, key=key, column_class=column_class, column_type=column_type
            ),
        )
        return self._output.deliver(result, report)

    def _or_keys(
        self,
        pages: Pages,
        run: FoundRun,
        report: Report,
        search: str | None,
        column_class: str | None,
        column_type: str | None,
        *,
        is_sure: bool = False,
    ) -> tuple[Iterable[Any], bool]:
        """Columns, or keys in their place, and whether they are keys.

        A server may have no columns at all, or none of this project; it then responds with an error,
        or with an empty list, unless ``is_sure`` says that this one means what it says.
        """
        columns = iter(pages)
        try:
            first = list(islice(columns, 1))
        except (NotFoundError, ServerError) as error:
            if error.status not in _NO_COLUMNS:
                raise
            if column_type is not None and error.status == 404:
                raise ServerError(
                    f"the server lists no columns of {run.ref}, only its keys, whose types are not "
                    f"known; leave out {argument('column_type')}, or see {command('run series')}"
                ) from None
            if column_type is not None:
                raise
            keys = self._keys(run, search, column_class)
            report.warn(
                f"the server lists no columns of {run.ref}: these are its keys, without types"
                + ("" if error.status == 404 else f" ({error.message})")
            )
            return keys, True
        if not (first or is_sure or search or column_type):
            if keys := self._keys(run, search, column_class):
                report.warn(
                    f"the list of columns of {run.ref} is empty: these are its keys, without types"
                )
            return keys, True
        return chain(first, columns), False

    def _keys(
        self, run: FoundRun, search: str | None, column_class: str | None
    ) -> list[dict[str, Any]]:
        """The keys of a run as columns, for a server or a project that has no columns."""
        client = self._context.client
        return [
            endpoint.key_as_column(key, key_class(key, metric_type))
            for metric_type in METRIC_TYPES
            for key in fetch_keys(client, [run.source], metric_type)
            if column_class in {None, key_class(key, metric_type)}
            and (search is None or search.lower() in key.lower())
        ]


def _part_of(found: list[dict[str, Any]], paging: Paging) -> list[dict[str, Any]]:
    """Cut out the page, or the first items, that are wanted."""
    if paging.all:
        return list(paging.arrangement.first(found))
    start = (paging.page - 1) * paging.page_size
    return found[start : start + paging.page_size]


def _pages_of(
    run_id: str, search: str | None, column_class: str | None, column_type: str | None
) -> Callable[[int, int], Request]:
    return lambda page, size: endpoint.columns_page(
        run_id, page, size, search=search, column_class=column_class, column_type=column_type
    )


def _of_key(columns: Iterable[Any], key: str) -> Any:
    return next((each for each in columns if endpoint.read_column_key(each) == key), None)


def _check_class(name: str, given: str | None) -> str | None:
    return None if given is None else check_choice(name, given, COLUMN_CLASSES)


def _check_type(given: str | None) -> str | None:
    return None if given is None else check_choice("column_type", given, COLUMN_TYPES)
