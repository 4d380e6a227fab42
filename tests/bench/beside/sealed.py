"""Safe mode (安全模式): seals and signs callbacks as WeChat's server does, and opens what kfgate answers."""

import base64
import dataclasses
import hashlib
import random
import re
import subprocess
import urllib.parse

from beside.callbacks import ACCOUNT, APP_ID, ENCODING_AES_KEY, SEED, TOKEN
from beside.stage import Failed, find

KEY = base64.b64decode(ENCODING_AES_KEY + "=")
NOISE = 16
HEAD = NOISE + 4
PAD = 32


def sealed(callbacks):
    """The same callbacks, as they come in safe mode.

    The load finds no MsgId in a sealed body, and replaces none: every lap repeats the messages of the one before. What
    kfgate still remembers, it may answer from its memory: opened and sealed all the same, and not decided on again.
    """
    chance = random.Random(SEED)
    payloads = [_payload(callback.body, chance.randbytes(NOISE)) for callback in callbacks]
    # One process seals them all, one behind the other. CBC mixes the last block of each into the first block of the
    # next and into no other: whoever opens the next alone finds noise there, as he should, if not the same.
    blocks, at, result = _aes("-e", b"".join(payloads)), 0, []
    for callback, payload in zip(callbacks, payloads):
        encrypt = base64.b64encode(blocks[at : at + len(payload)]).decode()
        result.append(_enveloped(callback, encrypt))
        at += len(payload)
    return result


def opened(callback, reply):
    """The message in a sealed reply to the callback; empty if anything about its envelope or its seal is wrong."""
    envelope = re.fullmatch(
        r"<xml>\n<Encrypt><!\[CDATA\[((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?)\]\]></Encrypt>\n"
        r"<MsgSignature><!\[CDATA\[([0-9a-f]{40})\]\]></MsgSignature>\n"
        r"<TimeStamp>(\d+)</TimeStamp>\n<Nonce><!\[CDATA\[(\d+)\]\]></Nonce>\n</xml>",
        reply,
    )
    if not envelope:
        return ""
    encrypt, signature, timestamp, nonce = envelope.groups()
    if nonce != _asked(callback)["nonce"] or signature != _signature(timestamp, nonce, encrypt):
        return ""
    payload = _aes("-d", base64.b64decode(encrypt))
    message = payload[HEAD : HEAD + int.from_bytes(payload[NOISE:HEAD], "big")]
    # All but the noise, which is kfgate's own, is as we would seal that message.
    return message.decode() if payload == _payload(message, payload[:NOISE]) else ""


def _payload(message, noise):
    """What is encrypted: whole blocks."""
    content = noise + len(message).to_bytes(4, "big") + message + APP_ID.encode()
    pad = PAD - len(content) % PAD
    return content + bytes([pad]) * pad


def _enveloped(callback, encrypt):
    asked = _asked(callback)
    moment = asked["timestamp"], asked["nonce"]
    asked |= {"signature": _signature(*moment), "encrypt_type": "aes", "msg_signature": _signature(*moment, encrypt)}
    body = (
        f"<xml>\n    <ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>\n"
        f"    <Encrypt><![CDATA[{encrypt}]]></Encrypt>\n</xml>\n"
    )
    return dataclasses.replace(callback, query=urllib.parse.urlencode(asked), body=body.encode())


def _asked(callback):
    return dict(urllib.parse.parse_qsl(callback.query))


def _signature(*parts):
    return hashlib.sha1("".join(sorted([TOKEN, *parts])).encode()).hexdigest()


def _aes(way, blocks):
    """Python's library has no AES."""
    command = [find("openssl"), "enc", way, "-aes-256-cbc", "-nopad", "-K", KEY.hex(), "-iv", KEY[:16].hex()]
    done = subprocess.run(command, input=blocks, capture_output=True, check=False)
    if done.returncode or len(done.stdout) != len(blocks):
        raise Failed(f"openssl: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
