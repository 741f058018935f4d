"""HTTP/1.1 messages by RFC 9110 and RFC 9112, with the statuses of the responses that every server sends.

A message that a server rejects gets one response, and its connection ends. After any other message the runner sends the
next request, so a server that reads a message in another way responds with more or other statuses.
"""

from __future__ import annotations

from dataclasses import dataclass

NEXT = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
"""The request that the runner sends after each message, and at which the server ends the connection."""

OK = (200,)
BAD = (400,)


@dataclass(frozen=True)
class Message:
    """A message with the statuses of the responses to it.

    Args:
        body: what the last response of an accepted POST echoes; None to check no body.
        ends: True if the client shuts down its sending side behind the message, without another request.
        waits: True if the client sends nothing behind the message, and waits for the response.
    """

    name: str
    data: bytes
    statuses: tuple[int, ...]
    body: bytes | None = None
    ends: bool = False
    waits: bool = False

    @property
    def is_final(self) -> bool:
        """Whether the connection ends after the message."""
        return self.ends or self.waits or self.statuses[-1] in (400, 414, 417, 431)


def _get(line: bytes = b"GET /livez HTTP/1.1", *fields: bytes) -> bytes:
    return b"\r\n".join([line, *(fields or (b"Host: x",)), b"", b""])


def _with(*fields: bytes) -> bytes:
    return _get(b"GET /livez HTTP/1.1", b"Host: x", *fields)


def _post(*fields: bytes, body: bytes = b"") -> bytes:
    head = (b"POST /predictUnstructured/ HTTP/1.1", b"Host: x", b"Content-Type: application/octet-stream", *fields)
    return b"\r\n".join([*head, b"", b""]) + body


def _chunked(body: bytes, coding: bytes = b"Transfer-Encoding: chunked", *fields: bytes) -> bytes:
    return _post(coding, *fields, body=body)


FIVE = b"5\r\nhello\r\n0\r\n\r\n"

REQUEST_LINES = [
    Message("origin form", _get(), OK),
    Message("query", _get(b"GET /livez?a=b&c HTTP/1.1"), OK),
    Message("empty query", _get(b"GET /livez? HTTP/1.1"), OK),
    Message("absolute form", _get(b"GET http://x/livez HTTP/1.1"), OK),
    Message("percent-encoded path", _get(b"GET /%6Civez HTTP/1.1"), OK),
    Message("HEAD", _get(b"HEAD /livez HTTP/1.1"), OK),
    Message("empty line first", b"\r\n" + _get(), OK),
    Message("unknown path", _get(b"GET /nothing HTTP/1.1"), (404,)),
    Message("unknown method", _get(b"PURGE /livez HTTP/1.1"), (405,)),
    Message("DELETE", _get(b"DELETE /livez HTTP/1.1"), (405,)),
    Message("TRACE", _get(b"TRACE /livez HTTP/1.1"), (405,)),
    Message("lower-case method", _get(b"get /livez HTTP/1.1"), BAD),
    Message("method that is no token", _get(b"G(T /livez HTTP/1.1"), BAD),
    Message("no method", _get(b" /livez HTTP/1.1"), BAD),
    Message("blank first", _get(b" GET /livez HTTP/1.1"), BAD),
    Message("two blanks", _get(b"GET  /livez HTTP/1.1"), BAD),
    Message("tab for blank", _get(b"GET\t/livez\tHTTP/1.1"), BAD),
    Message("blank in the path", _get(b"GET /li vez HTTP/1.1"), BAD),
    Message("blank at the end", _get(b"GET /livez HTTP/1.1 "), BAD),
    Message("no version", _get(b"GET /livez"), BAD),
    Message("no target", _get(b"GET HTTP/1.1"), BAD),
    Message("nothing but a method", _get(b"GET"), BAD),
    Message("NUL in the path", _get(b"GET /li\0vez HTTP/1.1"), BAD),
    Message("control character in the path", _get(b"GET /li\x01vez HTTP/1.1"), BAD),
    Message("DEL in the path", _get(b"GET /li\x7fvez HTTP/1.1"), BAD),
    Message("bytes beyond ASCII in the path", _get(b"GET /liv\xe9z HTTP/1.1"), BAD),
    Message("relative path", _get(b"GET livez HTTP/1.1"), BAD),
    Message("authority form", _get(b"GET x:80 HTTP/1.1"), BAD),
    Message("CONNECT", _get(b"CONNECT x:80 HTTP/1.1"), BAD),
    Message("asterisk form of GET", _get(b"GET * HTTP/1.1"), BAD),
    Message("fragment", _get(b"GET /livez#a HTTP/1.1"), BAD),
    Message("version 2.0", _get(b"GET /livez HTTP/2.0"), BAD),
    Message("version 1.2", _get(b"GET /livez HTTP/1.2"), BAD),
    Message("version 0.9", _get(b"GET /livez HTTP/0.9"), BAD),
    Message("lower-case version", _get(b"GET /livez http/1.1"), BAD),
    Message("version without a point", _get(b"GET /livez HTTP/11"), BAD),
    Message("version of two digits", _get(b"GET /livez HTTP/1.10"), BAD),
    Message("other protocol", _get(b"GET /livez ICE/1.0"), BAD),
    Message("line feed ends the line", b"GET /livez HTTP/1.1\nHost: x\r\n\r\n", BAD),
    Message("carriage return ends the line", b"GET /livez HTTP/1.1\rHost: x\r\n\r\n", BAD),
    Message("TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(40), BAD),
    Message("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD),
    Message("TLS without more", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(40), BAD, waits=True),
    Message("SSH", b"ssh-2.0-OpenSSH_9.6", BAD, waits=True),
    Message("two empty lines first", b"\r\n\r\n" + _get(), BAD),
    Message("line feed first", b"\n" + _get(), BAD),
    Message("two blanks before the version", _get(b"GET /livez  HTTP/1.1"), BAD),
    Message("method of no server", _get(b"BREW /livez HTTP/1.1"), BAD),
    Message("QUERY", _get(b"QUERY /livez HTTP/1.1"), (405,)),
    Message("OPTIONS in asterisk form", _get(b"OPTIONS * HTTP/1.1"), BAD),
    Message("CONNECT with a path", _get(b"CONNECT /livez HTTP/1.1"), BAD),
    Message("upper-case scheme", _get(b"GET HTTP://x/livez HTTP/1.1"), OK),
    Message("absolute form with a port", _get(b"GET http://x:80/livez?a=b HTTP/1.1"), OK),
    Message("absolute form with a user", _get(b"GET http://u@x/livez HTTP/1.1"), BAD),
    Message("absolute form without a path", _get(b"GET http://x HTTP/1.1"), BAD),
    Message("absolute form without a host", _get(b"GET http:///livez HTTP/1.1"), BAD),
    Message("absolute form with two ports", _get(b"GET http://x:80:80/livez HTTP/1.1"), BAD),
    Message("absolute form with a port that is no number", _get(b"GET http://x:y/livez HTTP/1.1"), BAD),
    Message("other scheme", _get(b"GET ftp://x/livez HTTP/1.1"), BAD),
    Message("fragment behind a query", _get(b"GET /livez?a#b HTTP/1.1"), BAD),
    Message("brackets and quotes in the query", _get(b'GET /livez?a[]="{}|^`<>\\ HTTP/1.1'), OK),
    Message("percent sign without digits in the query", _get(b"GET /livez?a=%zz HTTP/1.1"), OK),
    Message("line of 70,000 bytes", _get(b"GET /livez?" + b"a" * 70_000 + b" HTTP/1.1"), (414,)),
]

FIELDS = [
    Message("no blank behind the colon", _with(b"A:b"), OK),
    Message("blanks around the value", _with(b"A: \t b \t "), OK),
    Message("empty value", _with(b"A:"), OK),
    Message("bytes beyond ASCII in a value", _with(b"A: \xe9"), OK),
    Message("every token character", _with(b"!#$%&'*+-.^_`|~aZ9: b"), OK),
    Message("WSGI's script name", _get(b"GET /pub/livez HTTP/1.1", b"Host: x", b"SCRIPT_NAME: /pub"), (404,)),
    Message("WSGI's path", _get(b"GET /nothing HTTP/1.1", b"Host: x", b"PATH_INFO: /livez"), (404,)),
    Message("same field twice", _with(b"A: b", b"A: c"), OK),
    Message("obsolete folding with a blank", _with(b"A: b", b" c"), BAD),
    Message("obsolete folding with a tab", _with(b"A: b", b"\tc"), BAD),
    Message("folding of the first field", _get(b"GET /livez HTTP/1.1", b" A: b", b"Host: x"), BAD),
    Message("blank before the colon", _with(b"A : b"), BAD),
    Message("tab before the colon", _with(b"A\t: b"), BAD),
    Message("blank in a name", _with(b"A b: c"), BAD),
    Message("empty name", _with(b": b"), BAD),
    Message("no colon", _with(b"A"), BAD),
    Message("bracket in a name", _with(b"A(b: c"), BAD),
    Message("at sign in a name", _with(b"A@b: c"), BAD),
    Message("quote in a name", _with(b'A"b: c'), BAD),
    Message("bytes beyond ASCII in a name", _with(b"\xc3\xa9: b"), BAD),
    Message("NUL in a name", _with(b"A\0: b"), BAD),
    Message("NUL in a value", _with(b"A: b\0c"), BAD),
    Message("control character in a value", _with(b"A: b\x01c"), BAD),
    Message("DEL in a value", _with(b"A: b\x7fc"), BAD),
    Message("vertical tab in a value", _with(b"A: b\x0bc"), BAD),
    Message("carriage return in a value", _with(b"A: b\rc"), BAD),
    Message("line feed ends a field", b"GET /livez HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", BAD),
    Message("line feed ends the headers", b"GET /livez HTTP/1.1\r\nHost: x\r\n\n", BAD),
    Message("field of 70,000 bytes", _with(b"A: " + b"b" * 70_000), (431,)),
    Message("fields of 70,000 bytes", _with(*[b"A%d: " % number + b"b" * 700 for number in range(100)]), (431,)),
]

EXPECTATIONS = [
    Message("100-continue", _post(b"Content-Length: 0", b"Expect: 100-Continue"), OK, b""),
    Message("unknown expectation", _with(b"Expect: x"), (417,)),
    Message("two expectations", _with(b"Expect: 100-continue", b"Expect: 100-continue"), BAD),
    Message("two content types", _post(b"Content-Type: text/plain", b"Content-Length: 5", body=b"hello"), BAD),
]

HOSTS = [
    Message("host with a port", _get(b"GET /livez HTTP/1.1", b"Host: x:80"), OK),
    Message("IPv6 host", _get(b"GET /livez HTTP/1.1", b"Host: [::1]:80"), OK),
    Message("empty host", _get(b"GET /livez HTTP/1.1", b"Host:"), OK),
    Message("HTTP/1.0 without a host", b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", OK),
    Message("no host", _get(b"GET /livez HTTP/1.1", b"A: b"), BAD),
    Message("two hosts", _with(b"Host: y"), BAD),
    Message("same host twice", _with(b"Host: x"), BAD),
    Message("host with a blank", _get(b"GET /livez HTTP/1.1", b"Host: x y"), BAD),
    Message("host with a path", _get(b"GET /livez HTTP/1.1", b"Host: x/y"), BAD),
    Message("host with a user", _get(b"GET /livez HTTP/1.1", b"Host: a@x"), BAD),
    Message("HTTP/1.0 with two hosts", _get(b"GET /livez HTTP/1.0", b"Host: x", b"Host: y"), BAD),
    Message("host with a port that is no number", _get(b"GET /livez HTTP/1.1", b"Host: x:y"), BAD),
    Message("host with two ports", _get(b"GET /livez HTTP/1.1", b"Host: x:1:2"), BAD),
    Message("host with a scheme", _get(b"GET /livez HTTP/1.1", b"Host: http://x"), BAD),
    Message("host with an underscore", _get(b"GET /livez HTTP/1.1", b"Host: my_service:80"), OK),
    Message("host with blanks around it", _get(b"GET /livez HTTP/1.1", b"Host:   x\t "), OK),
    Message("host beyond ASCII", _get(b"GET /livez HTTP/1.1", b"Host: \xe9"), BAD),
    Message("list of hosts", _get(b"GET /livez HTTP/1.1", b"Host: x, y"), BAD),
]

LENGTHS = [
    Message("length", _post(b"Content-Length: 5", body=b"hello"), OK, b"hello"),
    Message("length with blanks", _post(b"Content-Length:  5 ", body=b"hello"), OK, b"hello"),
    Message("length with leading zeros", _post(b"Content-Length: 005", body=b"hello"), OK, b"hello"),
    Message("GET with a body", _with(b"Content-Length: 5") + b"hello", OK),
    Message("no length and no body", _post(), OK, b""),
    Message("length of 0", _post(b"Content-Length: 0"), OK, b""),
    Message("length with a plus", _post(b"Content-Length: +5", body=b"hello"), BAD),
    Message("negative length", _post(b"Content-Length: -5", body=b"hello"), BAD),
    Message("length with a fraction", _post(b"Content-Length: 5.0", body=b"hello"), BAD),
    Message("hexadecimal length", _post(b"Content-Length: 0x5", body=b"hello"), BAD),
    Message("length with an underscore", _post(b"Content-Length: 0_5", body=b"hello"), BAD),
    Message("length with a word", _post(b"Content-Length: five", body=b"hello"), BAD),
    Message("empty length", _post(b"Content-Length: ", body=b"hello"), BAD),
    Message("length in other digits", _post("Content-Length: \u0665".encode(), body=b"hello"), BAD),
    Message("length in superscript", _post(b"Content-Length: \xb2", body=b"hello"), BAD),
    Message("two numbers", _post(b"Content-Length: 5 5", body=b"hello"), BAD),
    Message("list of lengths", _post(b"Content-Length: 5, 5", body=b"hello"), BAD),
    Message("list of different lengths", _post(b"Content-Length: 5, 6", body=b"hello"), BAD),
    Message("two lengths", _post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"), BAD),
    Message("same length twice", _post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), BAD),
    Message("length beyond 63 bits", _post(b"Content-Length: 9223372036854775808", body=b"hello"), BAD),
    Message("length in a field with an underscore", _post(b"Content_Length: 5", b"Content-Length: 0"), OK, b""),
    Message("empty length before a length", _post(b"Content-Length:", b"Content-Length: 5", body=b"hello"), BAD),
    Message("length of HTTP/1.0", _post(b"Content-Length: 5", body=b"hello").replace(b"/1.1", b"/1.0"), OK, b"hello"),
    Message("length beyond 64 bits", _post(b"Content-Length: 99999999999999999999", body=b"hello"), BAD),
]

CODINGS = [
    Message("chunked", _chunked(FIVE), OK, b"hello"),
    Message("chunked in other case", _chunked(FIVE, b"Transfer-Encoding: CHUNKED"), OK, b"hello"),
    Message("chunked with blanks", _chunked(FIVE, b"Transfer-Encoding: \t chunked  "), OK, b"hello"),
    Message("chunked and a length", _chunked(FIVE, b"Transfer-Encoding: chunked", b"Content-Length: 5"), BAD),
    Message("a length and chunked", _chunked(FIVE, b"Content-Length: 15", b"Transfer-Encoding: chunked"), BAD),
    Message("chunked in HTTP/1.0", _chunked(FIVE).replace(b"HTTP/1.1", b"HTTP/1.0"), BAD),
    Message("chunked twice", _chunked(FIVE, b"Transfer-Encoding: chunked, chunked"), BAD),
    Message("two fields of chunked", _chunked(FIVE, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), BAD),
    Message("gzip and chunked", _chunked(FIVE, b"Transfer-Encoding: gzip, chunked"), BAD),
    Message("chunked before gzip", _chunked(FIVE, b"Transfer-Encoding: chunked, gzip"), BAD),
    Message("gzip alone", _chunked(FIVE, b"Transfer-Encoding: gzip"), BAD),
    Message("identity", _chunked(FIVE, b"Transfer-Encoding: identity"), BAD),
    Message("identity and chunked", _chunked(FIVE, b"Transfer-Encoding: identity, chunked"), BAD),
    Message("word that ends in chunked", _chunked(FIVE, b"Transfer-Encoding: xchunked"), BAD),
    Message("word that begins with chunked", _chunked(FIVE, b"Transfer-Encoding: chunkedx"), BAD),
    Message("quoted chunked", _chunked(FIVE, b'Transfer-Encoding: "chunked"'), BAD),
    Message("chunked with a parameter", _chunked(FIVE, b"Transfer-Encoding: chunked;q=1"), BAD),
    Message("vertical tab before chunked", _chunked(FIVE, b"Transfer-Encoding: \x0bchunked"), BAD),
    Message("empty coding", _chunked(FIVE, b"Transfer-Encoding:"), BAD),
    Message("blank in the name of the coding field", _chunked(FIVE, b"Transfer-Encoding : chunked"), BAD),
]

CHUNKS = [
    Message("two chunks", _chunked(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), OK, b"hello"),
    Message("no chunk", _chunked(b"0\r\n\r\n"), OK, b""),
    Message("size with leading zeros", _chunked(b"0005\r\nhello\r\n000\r\n\r\n"), OK, b"hello"),
    Message("upper-case size", _chunked(b"A\r\n0123456789\r\n0\r\n\r\n"), OK, b"0123456789"),
    Message("lower-case size", _chunked(b"a\r\n0123456789\r\n0\r\n\r\n"), OK, b"0123456789"),
    Message("chunk extension", _chunked(b"5;a=b\r\nhello\r\n0\r\n\r\n"), OK, b"hello"),
    Message("quoted chunk extension", _chunked(b'5;a="b c"\r\nhello\r\n0\r\n\r\n'), OK, b"hello"),
    Message("trailer field", _chunked(b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"), OK, b"hello"),
    Message("length in the trailer", _chunked(b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"), BAD),
    Message("many leading zeros", _chunked(b"0" * 30 + b"5\r\nhello\r\n0\r\n\r\n"), OK, b"hello"),
    Message("blank behind the size", _chunked(b"5 \r\nhello\r\n0\r\n\r\n"), BAD),
    Message("blank before an extension", _chunked(b"5 ;a\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("extension without a name", _chunked(b"5;\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("unfinished quoted extension", _chunked(b'5;a="b\r\nhello\r\n0\r\n\r\n'), BAD),
    Message("NUL in an extension", _chunked(b"5;a=\0\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("extension of 2 MB", _chunked(b"5;a=" + b"b" * 2_000_000 + b"\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("chunked in the trailer", _chunked(b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), BAD),
    Message("folded trailer", _chunked(b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"), BAD),
    Message("line feed ends the trailer", _chunked(b"5\r\nhello\r\n0\r\nA: b\n\n"), BAD),
    Message("line feed behind the last chunk", _chunked(b"5\r\nhello\r\n0\r\n\n"), BAD),
    Message("carriage returns behind a chunk", _chunked(b"5\r\nhello\r\r\n0\r\n\r\n"), BAD),
    Message("empty size", _chunked(b"\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("size with a prefix", _chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("size with a plus", _chunked(b"+5\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("negative size", _chunked(b"-5\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("size with an underscore", _chunked(b"0_5\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("size that is no number", _chunked(b"five\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("blank before the size", _chunked(b" 5\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("size beyond 64 bits", _chunked(b"fffffffffffffffff5\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("chunk longer than its size", _chunked(b"4\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("chunk shorter than its size", _chunked(b"6\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("no line end behind a chunk", _chunked(b"5\r\nhello0\r\n\r\n"), BAD),
    Message("line feed behind a size", _chunked(b"5\nhello\r\n0\r\n\r\n"), BAD),
    Message("line feed behind a chunk", _chunked(b"5\r\nhello\n0\r\n\r\n"), BAD),
    Message("line feed in an extension", _chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), BAD),
    Message("carriage return behind a size", _chunked(b"5\rhello\r\n0\r\n\r\n"), BAD),
    Message("trailer without a colon", _chunked(b"5\r\nhello\r\n0\r\nA\r\n\r\n"), BAD),
]

CONNECTIONS = [
    Message("two requests at once", _get() + _get(), (200, 200)),
    Message("ten requests at once", _get() * 10, (200,) * 10),
    Message("POST before GET", _post(b"Content-Length: 5", body=b"hello") + _get(), (200, 200)),
    Message("chunks before GET", _chunked(FIVE) + _get(), (200, 200)),
    Message("long body of a GET before GET", _with(b"Content-Length: 500000") + bytes(500_000) + _get(), (200, 200)),
    Message("GET before POST", _get() + _post(b"Content-Length: 5", body=b"hello"), (200, 200), b"hello"),
    Message("malformed second request", _get() + _with(b"A : b"), (200, 400)),
    Message(
        "malformed chunk behind a POST", _post(b"Content-Length: 5", body=b"hello") + _chunked(b"x\r\n"), (200, 400)
    ),
    Message("line end behind a body", _post(b"Content-Length: 5", body=b"hello\r\n"), OK, b"hello"),
    Message("upgrade to WebSocket", _with(b"Connection: Upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AA"), OK),
    Message(
        "upgrade of a POST",
        _post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5", body=b"hello"),
        OK,
        b"hello",
    ),
    Message(
        "upgrade of chunks",
        _chunked(FIVE, b"Transfer-Encoding: chunked", b"Connection: Upgrade", b"Upgrade: h2c"),
        OK,
        b"hello",
    ),
    Message(
        "upgrade of an HTTP/1.0 request", _get(b"GET /livez HTTP/1.0", b"Connection: Upgrade", b"Upgrade: h2c"), OK
    ),
    Message("upgrades before GET", _with(b"Connection: Upgrade", b"Upgrade: h2c") * 2 + _get(), (200, 200, 200)),
    Message(
        "upgrade with two lengths",
        _with(b"Connection: Upgrade", b"Upgrade: x", b"Content-Length: 1", b"Content-Length: 2"),
        BAD,
    ),
    Message("half-closed at once", b"", (), ends=True),
    Message("half-closed in the request line", b"GET /liv", (), ends=True),
    Message("half-closed in the headers", b"GET /livez HTTP/1.1\r\nHost: x\r\n", (), ends=True),
    Message("half-closed in a field", b"GET /livez HTTP/1.1\r\nHo", (), ends=True),
    Message("unknown connection option", _with(b"Connection: x"), OK),
    Message("half-closed after a request", _get(), OK, ends=True),
    Message("half-closed after a body", _post(b"Content-Length: 5", body=b"hello"), OK, b"hello", ends=True),
    Message("half-closed after chunks", _chunked(FIVE), OK, b"hello", ends=True),
    Message("half-closed in a body", _post(b"Content-Length: 50", body=b"hello"), BAD, ends=True),
    Message("half-closed in a chunk", _chunked(b"50\r\nhello"), BAD, ends=True),
    Message("half-closed before the last chunk", _chunked(b"5\r\nhello\r\n"), BAD, ends=True),
]

MESSAGES = [*REQUEST_LINES, *FIELDS, *EXPECTATIONS, *HOSTS, *LENGTHS, *CODINGS, *CHUNKS, *CONNECTIONS]
