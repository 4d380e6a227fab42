"""The configuration of each process: what a careful operator would write for one worker on one core."""

from beside.callbacks import APP_ID, ENCODING_AES_KEY, TOKEN

REPLY = (
    "<xml><ToUserName><![CDATA[oKq2T5xW0cFh8bRyZ1vNnLd3MsJg]]></ToUserName>"
    "<FromUserName><![CDATA[gh_5f3c1a9b7e20]]></FromUserName><CreateTime>1790000000</CreateTime>"
    "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[您好,您的订单已经发货,预计后天送达。祝您生活愉快!]]></Content></xml>"
)
CONTENT_TYPE = "text/xml; charset=utf-8"
MANY = 1_000_000_000
SAFE_MODE = f"""
[route.wechat]
token = "{TOKEN}"
aes_key = "{ENCODING_AES_KEY}"
app_id = "{APP_ID}"
verify = "transfer"
"""


def bot(folder, port, files):
    """An nginx that answers every callback at once, with a Content-Length, and never closes a connection."""
    return f"""
{_frame(folder, files, 1)}
http {{
  {_spool(folder)}
  access_log off;
  tcp_nodelay on;
  keepalive_requests {MANY};
  keepalive_timeout 1h;
  default_type "{CONTENT_TYPE}";
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 '{REPLY}'; }}
    location /kf {{ add_header X-Kf-Transfer 1; return 200 '{REPLY}'; }}
    location = /seen {{ stub_status; }}
  }}
}}
"""


def nginx(folder, port, files, bot_port, big_port, log, workers):
    """A plain proxy with the headers kfgate sets, keep-alive on both sides, big bodies not spooled to disk."""
    access_log = f"{folder}/access.log requests buffer=64k flush=1s" if log else "off"
    return f"""
{_frame(folder, files, workers)}
http {{
  {_spool(folder)}
  log_format requests escape=json '{{"time":"$time_iso8601","id":"$request_id","client":"$remote_addr",'
    '"method":"$request_method","path":"$uri","status":$status,"upstream_status":"$upstream_status",'
    '"upstream_s":"$upstream_response_time","duration_s":$request_time,"bytes_in":$request_length,'
    '"bytes_out":$body_bytes_sent}}';
  access_log {access_log};
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests {MANY};
  keepalive_timeout 75s;
  client_max_body_size 0;
  upstream bot {{ server 127.0.0.1:{bot_port}; keepalive 1024; keepalive_requests {MANY}; }}
  upstream big {{ server 127.0.0.1:{big_port}; keepalive 16; keepalive_requests {MANY}; }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header X-Request-Id $request_id;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://bot; }}
    location /big/ {{
      client_body_buffer_size 256k;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_buffer_size 256k;
      proxy_buffers 4 256k;
      proxy_pass http://big;
    }}
  }}
}}
"""


def kfgate(port, bot_port, big_port, log, workers, safe):
    """One route to the bot with a rule of keywords, one to the bot for big bodies; both have the key in safe mode."""
    return f"""
listen = ["127.0.0.1:{port}"]
workers = {workers}
shutdown_grace = "1s"

[log]
path = "{"access.log" if log else "off"}"

[[route]]
name = "bot"
upstream = "http://127.0.0.1:{bot_port}"
{SAFE_MODE if safe else ""}
[[route.rule]]
name = "ask-for-human"
keywords_file = "keywords.txt"

[[route]]
name = "big"
path = "/big"
upstream = "http://127.0.0.1:{big_port}"
{SAFE_MODE if safe else ""}"""


def _frame(folder, files, workers):
    return f"""daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}"""


def _spool(folder):
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "\n  ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
