"""ClickHouse's HTTP interface over the engine in this process.

Follows the published interface so far as `clickhouse-connect`, `curl` and `clickhouse-go` (by which Grafana asks) use
it. Differences that remain: the whole result is built before the first byte is sent, a client that goes away does not
cancel its query, and there is one user. Where no password is set, any name and password are welcome.
"""

import base64
import binascii
import gzip
import hmac
import json
import time
import uuid
import zlib
from asyncio import get_running_loop
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from connectors.embedded.clickhouse_engine import Answer, Engine, EngineError, External, Request
from connectors.embedded.clickhouse_native import Unmarkable, for_revision

_THREADS = 8
_BODY_BYTES_MAX = 512 * 2**20
_NOT_SETTINGS = frozenset(
    {
        "query",
        "database",
        "default_format",
        "user",
        "password",
        "quota_key",
        "session_id",
        "session_timeout",
        "session_check",
        "query_id",
        "role",
        "stacktrace",
        "compress",
        "decompress",
        "buffer_size",
        "wait_end_of_query",
        "close_session",
        "client_protocol_version",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "enable_http_compression",
        "cancel_http_readonly_queries_on_client_close",
        "network_compression_method",
    }
)
"""Parameters that speak to the interface; every other one is a setting, or `param_<name>`."""
_STATUS = (
    {
        194: 401, 516: 403, 497: 403, 164: 403, 38: 400, 6: 400, 25: 400, 26: 400, 27: 400, 41: 400, 53: 400, 62: 400,
        72: 400, 73: 404, 117: 400, 46: 404, 47: 404, 50: 404, 56: 404, 60: 404, 63: 404, 78: 404, 81: 404, 115: 404,
        336: 404, 372: 404, 344: 400, 48: 501, 159: 408, 209: 503, 439: 503, 307: 413,
    }
)  # fmt: skip
"""HTTP status for ClickHouse's error codes, as its server answers them; 500 for all others."""
_CONTENT_TYPE = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "XML": "application/xml; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask. No password: anybody on this machine."""

    user: str
    password: str | None


def clickhouse_app(engine: Engine, access: Access) -> Starlette:
    """The ASGI app. The engine stays the caller's to close, after the last request."""
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="clickhouse")

    async def answer(http: HttpRequest) -> Response:
        if http.url.path in ("/ping", "/replicas_status"):
            return Response("Ok.\n", media_type="text/plain")
        if http.url.path not in ("/", "/query"):
            return Response(f"There is no handle {http.url.path}\n", status_code=404, media_type="text/plain")
        query_id = http.query_params.get("query_id") or str(uuid.uuid4())
        headers = {"X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Timezone": engine.timezone}
        try:
            request, parameters = await _read(http, access)
            if request is None:
                return Response("Ok.\n", media_type="text/plain")
            started_ns = time.monotonic_ns()
            result = await get_running_loop().run_in_executor(threads, engine.run, request)
        except EngineError as error:
            return _failure(error, engine, headers)
        headers["X-ClickHouse-Summary"] = _summary(result, time.monotonic_ns() - started_ns)
        try:
            return _success(result, headers, http, parameters)
        except EngineError as error:
            return _failure(error, engine, headers)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "HEAD"])])


async def _read(http: HttpRequest, access: Access) -> tuple[Request | None, Mapping[str, str]]:
    """What is asked, and the parameters; None for a bare visit, which is a health check."""
    parameters = dict(http.query_params)
    externals: tuple[External, ...] = ()
    body = b""
    if http.headers.get("content-type", "").startswith("multipart/form-data"):
        fields, externals = await _form(http, parameters)
        parameters |= fields
    else:
        body = _decoded(await _body(http), http.headers.get("content-encoding", ""))
    _admit(http, parameters, access)
    if "decompress" in parameters or "compress" in parameters:
        wanted = parameters.get("decompress", "0") + parameters.get("compress", "0")
        if wanted.strip("0"):
            raise EngineError(
                48, "DB::Exception: compress/decompress are not offered; use HTTP's encodings. (NOT_IMPLEMENTED)"
            )
    query = parameters.get("query", "").encode()
    if http.method in ("GET", "HEAD") and not query and not body:
        return None, parameters
    return (
        Request(
            text=query + b"\n" + body if query and body else query or body,
            parameters={name[6:]: value for name, value in parameters.items() if name.startswith("param_")},
            settings=_settings(parameters, externals),
            database=parameters.get("database") or http.headers.get("x-clickhouse-database"),
            default_format=parameters.get("default_format") or http.headers.get("x-clickhouse-format"),
            read_only=http.method in ("GET", "HEAD"),
            externals=externals,
            session_id=parameters.get("session_id"),
            session_must_exist=parameters.get("session_check") == "1",
            session_idle_s_max=_session_idle_s_max(parameters),
        ),
        parameters,
    )


def _settings(parameters: Mapping[str, str], externals: tuple[External, ...]) -> dict[str, str]:
    of_externals = {f"{external.name}_{part}" for external in externals for part in ("structure", "types", "format")}
    return {
        name: value
        for name, value in parameters.items()
        if name not in _NOT_SETTINGS and name not in of_externals and not name.startswith("param_")
    }


def _session_idle_s_max(parameters: Mapping[str, str]) -> float:
    try:
        return min(3600, max(1, int(parameters.get("session_timeout", "60"))))
    except ValueError as error:
        raise EngineError(374, f"DB::Exception: Invalid session timeout: {error}. (INVALID_SESSION_TIMEOUT)") from error


async def _body(http: HttpRequest) -> bytes:
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > _BODY_BYTES_MAX:
            raise EngineError(307, f"DB::Exception: more than {_BODY_BYTES_MAX} bytes at once. (TOO_MANY_BYTES)")
    return bytes(body)


async def _form(http: HttpRequest, parameters: Mapping[str, str]) -> tuple[dict[str, str], tuple[External, ...]]:
    """A multipart form's plain fields are parameters, its files temporary tables."""
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    async with http.form(max_part_size=64 * 2**20) as form:
        for name, part in form.items():
            if isinstance(part, UploadFile):
                files[name] = await part.read()
            else:
                fields[name] = part
    return fields, tuple(_external(name, rows, {**parameters, **fields}) for name, rows in files.items())


def _external(name: str, rows: bytes, parameters: Mapping[str, str]) -> External:
    structure = parameters.get(f"{name}_structure")
    if structure is None:
        types = parameters.get(f"{name}_types", "").split(",")
        structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(types, start=1))
    return External(name, structure, parameters.get(f"{name}_format", "TabSeparated"), rows)


def _admit(http: HttpRequest, parameters: Mapping[str, str], access: Access) -> None:
    """Raise EngineError where the name or the password is wrong."""
    if access.password is None:
        return
    user = http.headers.get("x-clickhouse-user") or parameters.get("user", "default")
    password = http.headers.get("x-clickhouse-key") or parameters.get("password", "")
    scheme, _, secret = http.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(secret).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            password = ""
    right = hmac.compare_digest(user.encode(), access.user.encode())
    right &= hmac.compare_digest(password.encode(), access.password.encode())
    if not right:
        raise EngineError(
            516,
            f"DB::Exception: {user}: Authentication failed: wrong name or password. (AUTHENTICATION_FAILED)",
        )


def _failure(error: EngineError, engine: Engine, headers: Mapping[str, str]) -> Response:
    text = f"Code: {error.code}. {error} (version {engine.version} (embedded))\n"
    status = _STATUS.get(error.code, 500)
    more = {"X-ClickHouse-Exception-Code": str(error.code)}
    if status == 401:
        more["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
    return Response(text, status_code=status, media_type="text/plain", headers={**headers, **more})


def _success(result: Answer, headers: dict[str, str], http: HttpRequest, parameters: Mapping[str, str]) -> Response:
    if result.format is not None:
        headers["X-ClickHouse-Format"] = result.format
    body = _revised(result, parameters.get("client_protocol_version", "0"))
    compress = body and parameters.get("enable_http_compression", "1") != "0"
    encoding = _encoding(http.headers.get("accept-encoding", "")) if compress else None
    if encoding is not None:
        body = _ENCODERS[encoding](body)
        headers["Content-Encoding"] = encoding
    headers["Content-Type"] = _CONTENT_TYPE.get(result.format or "", "text/plain; charset=UTF-8")
    return Response(body, headers=headers)


def _revised(result: Answer, revision: str) -> bytes:
    """The body as a client of this revision of the protocol reads it."""
    if result.format != "Native" or not (revision.isascii() and revision.isdigit()):
        return result.body
    try:
        return for_revision(result.body, int(revision))
    except Unmarkable as error:
        words = f"DB::Exception: type {error} is not offered to this client: cast it to a String. (NOT_IMPLEMENTED)"
        raise EngineError(48, words) from error


def _summary(result: Answer, elapsed_ns: int) -> str:
    numbers = {
        "read_rows": result.read_rows,
        "read_bytes": result.read_bytes,
        "written_rows": result.written_rows,
        "written_bytes": result.written_bytes,
        "total_rows_to_read": result.read_rows,
        "result_rows": result.result_rows or result.written_rows,
        "result_bytes": len(result.body) or result.written_bytes,
        "elapsed_ns": elapsed_ns,
    }
    return json.dumps({name: str(number) for name, number in numbers.items()}, separators=(",", ":"))


Coder = Callable[[bytes], bytes]


def _coders() -> tuple[dict[str, Coder], dict[str, Coder], tuple[type[Exception], ...]]:
    """Encoders and decoders by HTTP name, of the standard library and of installed packages, and what they raise."""
    errors: list[type[Exception]] = [OSError, EOFError, ValueError, zlib.error]
    encoders: dict[str, Coder] = {
        "gzip": lambda body: gzip.compress(body, 1),
        "deflate": zlib.compress,
    }
    decoders: dict[str, Coder] = {"gzip": gzip.decompress, "deflate": zlib.decompress}
    for name, module in (("zstd", "backports.zstd"), ("lz4", "lz4.frame")):
        try:
            codec = import_module(module)
        except ImportError:
            continue
        encoders = {name: codec.compress, **encoders}
        decoders[name] = codec.decompress
        errors.append(getattr(codec, "ZstdError", RuntimeError))
    return encoders, decoders, tuple(errors)


_ENCODERS, _DECODERS, _SPOILED = _coders()


def _encoding(accepted: str) -> str | None:
    wanted = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    return next((name for name in _ENCODERS if name in wanted), None)


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding.lower() in ("", "identity"):
        return body
    decode = _DECODERS.get(encoding.lower())
    if decode is None:
        raise EngineError(48, f"DB::Exception: Unknown compression method {encoding}. (NOT_IMPLEMENTED)")
    try:
        return decode(body)
    except _SPOILED as error:
        raise EngineError(271, f"DB::Exception: Cannot decompress: {error}. (CANNOT_DECOMPRESS)") from error
