"""Before anything is timed: is every answer right, byte for byte?"""

import contextlib
import http.client
import re
import time

from beside.callbacks import ACCOUNT
from beside.configuration import CONTENT_TYPE, REPLY
from beside.load import HOST
from beside.sealed import opened
from beside.stage import Failed

CHECKED = 300


def answers(peer, corpus):
    """Asks with some callbacks of the corpus; kfgate transfers what it must and nothing else, nginx nothing at all."""
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=10)
    with contextlib.closing(connection):
        for callback in corpus.callbacks[:CHECKED]:
            response, body = _ask(connection, corpus.path, callback)
            asked_for = callback.kind == "keyword" or corpus.path == "/kf"
            if peer.name == "kfgate" and asked_for and callback.is_message():
                right = _is_transfer(callback, opened(callback, body) if callback.is_sealed() else body)
            else:
                right = body == REPLY
            right = right and response.status == 200 and response.getheader("Content-Type") == CONTENT_TYPE
            right = right and response.getheader("Content-Length") == str(len(body.encode()))
            flag = response.getheader("X-Kf-Transfer")
            right = right and flag == ("1" if corpus.path == "/kf" and peer.name == "nginx" else None)
            if not right:
                answer = f"{response.status} {response.getheaders()}\n{body}"
                raise Failed(f"{peer.name} answers wrongly:\n{callback}\n{answer}")


def _ask(connection, path, callback):
    connection.request("POST", f"{path}?{callback.query}", callback.body, {"Content-Type": "text/xml"})
    response = connection.getresponse()
    return response, response.read().decode()


def _is_transfer(callback, body):
    transfer = re.fullmatch(
        rf"<xml><ToUserName><!\[CDATA\[{callback.sender}\]\]></ToUserName><FromUserName><!\[CDATA\[{ACCOUNT}\]\]>"
        r"</FromUserName><CreateTime>(\d+)</CreateTime>"
        r"<MsgType><!\[CDATA\[transfer_customer_service\]\]></MsgType></xml>",
        body,
    )
    return transfer is not None and abs(int(transfer[1]) - time.time()) < 3


def forwards(peer, corpus):
    """The bot gets the target, the headers and the body as they were sent, and what a proxy adds."""
    sent = {"Host": HOST, "Content-Type": "text/xml", "User-Agent": "Mozilla/4.0", "Pragma": "no-cache"}
    added = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": HOST}
    wanted = {f"{name}: {value}".lower() for name, value in {**sent, **added}.items()}
    for callback in corpus.callbacks[:20]:
        target = f"/big/echo?{callback.query}"
        head, body = _echo(peer, target, callback.body, sent)
        lines = head.lower().split("\r\n")
        right = body == callback.body and head.startswith(f"POST {target} HTTP/1.1\r\n")
        right = right and wanted <= set(lines) and any(line.startswith("x-request-id: ") for line in lines)
        if not right:
            raise Failed(f"{peer.name} forwards wrongly:\n{callback}\n{head}\n{body}")
    big = bytes(range(256)) * 4096
    if _echo(peer, "/big/echo", big, {"Content-Type": "application/octet-stream"})[1] != big:
        raise Failed(f"{peer.name} changes a body of 1 MiB")


def _echo(peer, target, body, headers):
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", target, body, headers)
        head, _, body = connection.getresponse().read().partition(b"\r\n\r\n")
    return head.decode(), body
