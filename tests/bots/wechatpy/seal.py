"""Seals and opens with wechatpy: a JSON array of cases on stdin, what became of each on stdout."""

import json
import sys

from wechatpy.crypto import PrpCrypto, WeChatCrypto, _get_signature


def of(case):
    crypto = WeChatCrypto(case["token"], case["key"], case["app_id"])
    prp = PrpCrypto(crypto.key)
    sealed = prp.encrypt(case["message"], case["app_id"]).decode()
    signature = _get_signature(case["token"], case["timestamp"], case["nonce"], sealed)
    return {"opened": prp.decrypt(case["sealed"], case["app_id"]), "sealed": sealed, "signature": signature}


json.dump([of(case) for case in json.load(sys.stdin)], sys.stdout)
