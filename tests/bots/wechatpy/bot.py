import sys

from flask import Flask, abort, make_response, request
from waitress import serve
from wechatpy import create_reply, parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidSignatureException
from wechatpy.replies import TransferCustomerServiceReply
from wechatpy.utils import check_signature

TOKEN = "kfgatetoken"
crypto = WeChatCrypto(TOKEN, "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "wx1234567890abcdef")

app = Flask(__name__)


@app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@app.route("/<path:path>", methods=["GET", "POST"])
def wechat(path):
    args = request.args
    try:
        check_signature(TOKEN, args.get("signature"), args.get("timestamp", ""), args.get("nonce", ""))
    except InvalidSignatureException:
        abort(403)
    if request.method == "GET":
        return args.get("echostr", "")

    body = request.data
    sealed = args.get("encrypt_type") == "aes"
    if sealed:
        body = crypto.decrypt_message(body, args["msg_signature"], args["timestamp"], args["nonce"])
    msg = parse_message(body)
    reply, flag = answer_event(msg) if msg.type == "event" else answer(msg)
    answer_body = create_reply(reply, msg).render()
    if sealed and answer_body:
        answer_body = crypto.encrypt_message(answer_body, args["nonce"], args["timestamp"])
    response = make_response(answer_body)
    response.content_type = "application/xml"
    if flag:
        response.headers["X-Kf-Transfer"] = flag
    return response


def answer(msg):
    if msg.type != "text":
        return None, None
    if msg.content == "ping":
        return "pong", None
    if msg.content == "flag":
        return "one moment", "1"
    if msg.content == "flag-account":
        return "one moment", "test1@test"
    if msg.content == "veto":
        return "I can do that", "0"
    if msg.content == "silent":
        return None, None
    if msg.content == "transfer":
        return TransferCustomerServiceReply(message=msg), None
    if msg.content == "fail":
        raise RuntimeError("the database is gone")
    if msg.content == "unknown":
        return "没听懂", None
    return msg.content, None


def answer_event(msg):
    if msg.event == "subscribe":
        return "welcome", None
    if msg.event == "click" and msg.key == "flag":
        return "one moment", "1"
    if msg.event == "click" and msg.key == "transfer":
        return TransferCustomerServiceReply(message=msg), None
    return None, None


if __name__ == "__main__":
    serve(app, host="127.0.0.1", port=int(sys.argv[1]))
