<?php
define('TOKEN', 'kfgatetoken');

function text($message, $content)
{
    return sprintf(
        "<xml>
<ToUserName><![CDATA[%s]]></ToUserName>
<FromUserName><![CDATA[%s]]></FromUserName>
<CreateTime>%s</CreateTime>
<MsgType><![CDATA[text]]></MsgType>
<Content><![CDATA[%s]]></Content>
</xml>",
        $message->FromUserName, $message->ToUserName, time(), $content
    );
}

function transfer($message)
{
    return sprintf(
        "<xml>
<ToUserName><![CDATA[%s]]></ToUserName>
<FromUserName><![CDATA[%s]]></FromUserName>
<CreateTime>%s</CreateTime>
<MsgType><![CDATA[transfer_customer_service]]></MsgType>
</xml>",
        $message->FromUserName, $message->ToUserName, time()
    );
}

function answer($message)
{
    switch (trim($message->Content)) {
        case 'ping':
            return text($message, 'pong');
        case 'flag':
            header('X-Kf-Transfer: 1');
            return text($message, 'one moment');
        case 'flag-account':
            header('X-Kf-Transfer: test1@test');
            return text($message, 'one moment');
        case 'veto':
            header('X-Kf-Transfer: 0');
            return text($message, 'I can do that');
        case 'silent':
            return 'success';
        case 'transfer':
            return transfer($message);
        case 'fail':
            http_response_code(500);
            return '';
        case 'warning':
            $visits = array();
            return text($message, 'visit ' . ($visits[(string) $message->FromUserName] + 1));
        case 'unknown':
            return text($message, '没听懂');
        default:
            return text($message, $message->Content);
    }
}

function answer_event($message)
{
    if ($message->Event == 'subscribe') {
        return text($message, 'welcome');
    }
    if ($message->Event == 'CLICK' && $message->EventKey == 'flag') {
        header('X-Kf-Transfer: 1');
        return text($message, 'one moment');
    }
    if ($message->Event == 'CLICK' && $message->EventKey == 'transfer') {
        return transfer($message);
    }
    return 'success';
}

$signed = array(TOKEN, $_GET['timestamp'] ?? '', $_GET['nonce'] ?? '');
sort($signed, SORT_STRING);
if (sha1(implode($signed)) !== ($_GET['signature'] ?? '')) {
    http_response_code(403);
    exit;
}
if (isset($_GET['echostr'])) {
    echo $_GET['echostr'];
    exit;
}

$message = simplexml_load_string(file_get_contents('php://input'), 'SimpleXMLElement', LIBXML_NOCDATA);
if ($message->MsgType == 'text') {
    echo answer($message);
} elseif ($message->MsgType == 'event') {
    echo answer_event($message);
} else {
    echo 'success';
}
