"""What WeChat's server sends: a few thousand callbacks and lists of keywords, the same on every run."""

import dataclasses
import functools
import random

SEED = 20261122
CALLBACKS = 5000
ACCOUNT = "gh_5f3c1a9b7e20"

# What safe mode needs, made up.
TOKEN = "besideNginx"
ENCODING_AES_KEY = "Q7mZt0Vd3xKc9RfLw2YbHs6NuJp1GaEi5oTqX8CvMkA"
APP_ID = "wx5f3c1a9b7e20d468"

# Of a hundred callbacks; "keyword" is a text that holds one.
THE_JOB = {"text": 64, "keyword": 16, "image": 10, "event": 10}
NO_KEYWORD = {"text": 80, "image": 10, "event": 10}

# What real lists begin with; invented keywords follow.
FIRST_KEYWORDS = ["人工", "转人工", "客服", "投诉", "真人", "找人", "退款", "经理", "赔偿", "差评"]
LONGEST_LIST = 100_000
LONGEST_KEYWORD = 6

OPENINGS = ["", "", "", "你好,", "您好,", "请问", "在吗?", "麻烦问一下,", "Hi ", "老板,", "那个", "谢谢!", "晚上好,"]
SUBJECTS = [
    "我的订单", "昨天买的衣服", "这个杯子", "会员卡", "优惠券", "电子发票", "快递", "收货地址", "你们的门店", "积分",
    "那双鞋子", "iPhone 17 手机壳", "上周的包裹", "生日礼品", "小程序", "验证码", "账号密码", "公众号里的活动",
]
QUESTIONS = [
    "什么时候发货?", "到哪里了", "怎么用啊", "还有货吗?", "可以改一下吗", "多少钱?", "几点开门", "为什么显示失败",
    "能不能便宜一点", "收到了,很喜欢[愉快]", "尺码偏大还是偏小?", "在哪里领", "过期了吗", "是不是正品", "三天了还没到!!!",
]
ENDINGS = ["", "", "", "谢谢", "😊", "~", "急!", "订单号 {}", "电话 139{}", "[玫瑰]", "我住在 {} 号楼", " thx"]


@dataclasses.dataclass(frozen=True)
class Callback:
    """One callback. `kind` is "text", "keyword", "image" or "event"; `query` is as WeChat signs it."""

    kind: str
    sender: str
    query: str
    body: bytes

    def is_message(self):
        return self.kind != "event"

    def is_sealed(self):
        return "&encrypt_type=aes&" in self.query


def keywords(count):
    """The first `count` (1 to 100,000) of the one list; a shorter list is the beginning of a longer one."""
    assert 1 <= count <= LONGEST_LIST
    return _all_keywords()[:count]


def callbacks(mix, keyword_count):
    """The callbacks in the proportions of `mix`, their keywords drawn from the first `keyword_count`.

    No text but the "keyword" ones holds any keyword of the longest list. Every event's key is a keyword.
    """
    chance = random.Random(SEED)
    words, every = keywords(keyword_count), frozenset(_all_keywords())
    kinds = chance.choices(list(mix), list(mix.values()), k=CALLBACKS)
    return [_callback(chance, kind, number, words, every) for number, kind in enumerate(kinds)]


def _callback(chance, kind, number, words, every):
    sender = "o" + "".join(chance.choices(_OPENID, k=27))
    created = 1_790_000_000 + number
    # The load gives each message sent a MsgId of its own, in place of this one: a repeated one is a retry.
    msg_id = f"<MsgId>{23_000_000_000_000_000 + number}</MsgId>"
    if kind == "event":
        msg_type, rest = "event", _cdata(Event="CLICK", EventKey=chance.choice(words))
    elif kind == "image":
        url = f"http://mmbiz.qpic.cn/mmbiz_jpg/{chance.getrandbits(256):064x}/0"
        msg_type, rest = "image", _cdata(PicUrl=url, MediaId=f"{chance.getrandbits(256):064x}") + msg_id
    else:
        text = _text_without(chance, every)
        if kind == "keyword":
            cut = chance.randint(0, len(text))
            text = text[:cut] + chance.choice(words) + text[cut:]
        msg_type, rest = "text", _cdata(Content=text) + msg_id
    head = _cdata(ToUserName=ACCOUNT, FromUserName=sender) + f"<CreateTime>{created}</CreateTime>\n"
    body = f"<xml>{head}{_cdata(MsgType=msg_type)}{rest}</xml>"
    signature, nonce = f"{chance.getrandbits(160):040x}", f"{chance.randrange(10**9):09d}"
    query = f"signature={signature}&timestamp={created}&nonce={nonce}&openid={sender}"
    return Callback(kind, sender, query, body.encode())


def _cdata(**elements):
    return "".join(f"<{name}><![CDATA[{value}]]></{name}>\n" for name, value in elements.items())


def _text_without(chance, every):
    while True:
        text = _sentence(chance) if chance.random() < 0.6 else _characters(chance, 2, 40)
        if not any(text[at : at + long] in every for long in range(2, LONGEST_KEYWORD + 1) for at in range(len(text))):
            return text


def _sentence(chance):
    parts = [chance.choice(choices) for choices in (OPENINGS, SUBJECTS, QUESTIONS, ENDINGS)]
    return "".join(parts).format(chance.randrange(10**8)).strip()


_OPENID = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

# What the sentences are made of, and others: keywords of these begin often in a text, and seldom end.
_USED = {each for part in OPENINGS + SUBJECTS + QUESTIONS for each in part if "\u4e00" <= each <= "\u9fff"}
_CHARACTERS = sorted(_USED) * 4 + [chr(0x4E00 + 9 * number) for number in range(800)]


def _characters(chance, shortest, longest):
    return "".join(chance.choices(_CHARACTERS, k=chance.randint(shortest, longest)))


@functools.cache
def _all_keywords():
    chance, words = random.Random(SEED), dict.fromkeys(FIRST_KEYWORDS)
    # None may be part of a fixed phrase, or no sentence with that phrase could be sent.
    phrases = "\n".join(OPENINGS + SUBJECTS + QUESTIONS + ENDINGS)
    while len(words) < LONGEST_LIST:
        word = _characters(chance, 3, LONGEST_KEYWORD)
        if word not in phrases:
            words.setdefault(word)
    return list(words)
