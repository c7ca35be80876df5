"""``swanlab-export help``: what is the same for all commands."""

from __future__ import annotations

import click

from swanlab_export.cli.commands import Command
from swanlab_export.errors import (
    AuthenticationError,
    IncompleteError,
    NotFoundError,
    SwanlabExportError,
    UnavailableError,
    UsageError,
)

_ENVIRONMENT = """\
SWANLAB_API_KEY        API key, where --api-key is not given
SWANLAB_API_HOST       server, where --host is not given; sandbox starts one,
                       and backup:FOLDER serves a backup
SWANLAB_WEB_HOST       host of web pages, for the url columns
SWANLAB_ROOT           folder of the login file, instead of ~/.swanlab
SWANLAB_SAVE_DIR       the same, older name
SWANLAB_EXPORT_FORMAT  what commands print, where --format is not given:
                       json, jsonl, csv, tsv or table
HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                       proxies; servers on this machine are asked directly;
                       socks5:// needs pip install pysocks
REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR
                       certificates of a private CA
TMPDIR                 folder for temporary data of large exports
COLUMNS                width of tables and plots, in characters
NO_COLOR, CLICOLOR=0   no colours and no bold text
CLICOLOR_FORCE=1       colours in pipes, too; NO_COLOR is stronger
PYTHONIOENCODING       encoding of tables, plots and messages, such as gbk;
                       lines are in ASCII where it is not Unicode; JSON, CSV and
                       TSV are always UTF-8

A key is looked for in this order: --api-key, SWANLAB_API_KEY,
./.swanlab/.netrc, the login file of `login`. The key of a login file is used
only for the host that the file names."""

_EXIT_CODES = f"""\
0    the result is complete
{SwanlabExportError.exit_code}    the server refused, or the result could not be written
{UsageError.exit_code}    an argument is wrong; nothing was created or saved
{AuthenticationError.exit_code}    no key, a wrong key, or a key without the right to do this
{NotFoundError.exit_code}    no such workspace, project, run or key
{IncompleteError.exit_code}    less came than was announced, or a part failed; no file is
     written without --partial, which gives what can be had and
     names what is left out (NAME.incomplete.json, or the metadata
     of Parquet); 4 if all that failed was not found
{UnavailableError.exit_code}    the server cannot be reached or is failing: worth trying later
129  the terminal was closed
130  interrupted (Ctrl-C)
143  terminated

A reader that closes the pipe early, such as head, is not an error."""

_FORMATS = """\
--format json     an object for one entity, for lists an array with one record
                  per line (default)
--format jsonl    one record per line
--format csv, tsv missing values are empty cells, NaN and infinities are NaN,
                  inf and -inf
--format table    for reading in a terminal
--format plot     metrics as a chart in the terminal
--raw             what the server sent

--save NAME       a file by its extension: .parquet .feather .arrow .csv .tsv
                  .json .jsonl .xlsx; text formats also with .gz or .zst;
                  metrics also .png .svg .pdf
                  A file appears complete or not at all.
--save s3://BUCKET/NAME
                  an object of a store, also gs:// and az://; keys are read from
                  the environment, such as AWS_ACCESS_KEY_ID; see --store-option
--csv-bom         .csv and .tsv files begin with a byte order mark: Excel then
                  reads them as UTF-8

.xlsx             at most 1,048,575 rows; times are dates, in UTC; text is never
                  a formula or a link; integers of more than 15 digits, NaN and
                  infinities are text

Times are UTC: ISO 8601 with Z in text, timestamp[ms, UTC] in Parquet and
Feather. These two carry pandas types: pd.read_parquet needs no options."""

_FILTERS = """\
-f 'NAME OPERATOR VALUE', several are combined with AND.

NAME       any column of `run list`: state, name, run_id, slug, group, job_type,
           labels, created_at, duration_s, user.username, ...; config.KEY for
           the configuration, summary.KEY for the latest value
OPERATOR   =   !=            is, is not; states in upper or lower case
           >=  <=  >  <      numbers as numbers, times as times, words as words;
                             a value that is missing passes none of them
           in, not in        is one of several values, separated by commas; in
                             double quotes, "a,b" is one, and quotes are doubled
           ~   !~            contains, does not contain, in any case
           is null           has no value; is not null: has one

state=FINISHED                      'state in CRASHED,ABORTED'
'config.lr>=0.001'                  'summary.val/acc>0.9'
'created_at>=2026-03-01T00:00:00Z'  name~baseline
'created_at>=-7d'                   'duration_s>3600'
'run_id in a1b2,c3d4'               'config.dropout is null'
'name in "a, b",c'                  config.hidden=64

A list is equal to a value if one of its elements is, numbers as numbers, or if
it is that list: [64,32] passes config.hidden=64, and 'config.hidden=[64,32]'.
!= and not in are passed by exactly the runs that do not pass = and in.
Servers differ in how they compare lists. So only >= <= > < of config.KEY are
sent to them. The other rules are checked here: all runs are listed, 100 in a
request, that pass what is sent, such as state=FINISHED or 'created_at>=-7d'.

A time is in UTC where it names no zone; -7d is seven days ago (s, m, h, d, w).
A name that does not exist, and a value that the field cannot have, are errors.

Also a JSON array of the server's own rules, or a file that holds one:
[{"key": "lr", "type": "CONFIG", "op": "GTE", "value": ["0.001"]}]"""

_BACKUPS = """\
A backup is a folder, or a prefix of an object store. `backup run` fetches

a whole run       that is new, was running or had just ended (15 minutes),
                  whose state, end or summary of any metric differs, or of
                  which a part was missing; with --full every run
parts of it       that were not asked for before (--tables, --keys,
                  --no-media); what is there already is kept
its row           where only names, labels, the configuration and so on differ
nothing           otherwise; runs that ended in the last 30 days are asked once
                  every --recheck for log lines and media that came late

A run that the server no longer has stays, and is marked (backup.gone_at). A
version with fewer points, or an earlier last step of a key, does not replace
the one that is there: it is kept beside it, until --accept-smaller RUN.

What cannot be seen: log lines alone that came late, until the next recheck; an
edit that leaves every statistic as it was. --full fetches those.

Exit codes: 0 everything is there; 5 runs failed or were refused, and the rest
is kept, or another backup writes to the folder; 6 the server is away; 1 the
folder cannot be written. After any of them, run the same command again.

To restore means to read: nothing can be uploaded again."""

TOPICS = {
    "environment": _ENVIRONMENT,
    "exit-codes": _EXIT_CODES,
    "formats": _FORMATS,
    "filters": _FILTERS,
    "backups": _BACKUPS,
}


@click.command("help", cls=Command, example="help filters")
@click.argument("topic", type=click.Choice(list(TOPICS)), required=False)
def help_(topic: str | None) -> None:
    """Explain what all commands share: environment, exit-codes, formats, filters, backups."""
    if topic is None:
        click.echo(f"Topics: {', '.join(TOPICS)}. Each command explains itself with --help.")
    else:
        click.echo(TOPICS[topic])
