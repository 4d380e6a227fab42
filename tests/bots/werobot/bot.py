import sys

from bottle import response
from werobot import WeRoBot
from werobot.replies import SuccessReply, TransferCustomerServiceReply

robot = WeRoBot(token="kfgatetoken")
robot.config["SESSION_STORAGE"] = False
# For what comes encrypted; from the first such message on, WeRoBot encrypts all its replies.
robot.config["APP_ID"] = "wx1234567890abcdef"
robot.config["ENCODING_AES_KEY"] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


def flagged(text, flag):
    # WeRoBot's replies carry no headers; the Bottle application around it does.
    response.set_header("X-Kf-Transfer", flag)
    return text


@robot.filter("ping")
def ping():
    return "pong"


@robot.filter("flag")
def flag():
    return flagged("one moment", "1")


@robot.filter("flag-account")
def flag_account():
    return flagged("one moment", "test1@test")


@robot.filter("veto")
def veto():
    return flagged("I can do that", "0")


@robot.filter("silent")
def silent(message):
    return SuccessReply(message=message)


@robot.filter("transfer")
def transfer(message):
    return TransferCustomerServiceReply(message=message)


@robot.filter("fail")
def fail(message):
    # WeRoBot swallows a handler's exceptions and answers nothing.
    response.status = 500
    return SuccessReply(message=message)


@robot.filter("unknown")
def unknown():
    return "没听懂"


@robot.text
def echo(message):
    return message.content


@robot.subscribe
def subscribe():
    return "welcome"


@robot.key_click("flag")
def click_flag():
    return flagged("one moment", "1")


@robot.key_click("transfer")
def click_transfer(message):
    return TransferCustomerServiceReply(message=message)


robot.run(server="wsgiref", host="127.0.0.1", port=int(sys.argv[1]))
