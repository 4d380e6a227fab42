import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

public class Bot {
    static final String TOKEN = "kfgatetoken";

    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(args[0]);
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", Bot::handle);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
    }

    static void handle(HttpExchange http) throws IOException {
        try {
            Map<String, String> query = query(http.getRequestURI().getRawQuery());
            if (!signed(query)) {
                send(http, 403, "");
            } else if (http.getRequestMethod().equals("GET")) {
                send(http, 200, query.get("echostr"));
            } else {
                Map<String, String> message = parse(http.getRequestBody().readAllBytes());
                send(http, 200, answer(message, http));
            }
        } catch (Exception e) {
            send(http, 500, "");
        }
    }

    static String answer(Map<String, String> message, HttpExchange http) {
        switch (message.get("MsgType")) {
            case "text":
                return answerText(message, http);
            case "event":
                return answerEvent(message, http);
            default:
                return "success";
        }
    }

    static String answerText(Map<String, String> message, HttpExchange http) {
        String content = message.getOrDefault("Content", "");
        switch (content) {
            case "ping":
                return text(message, "pong");
            case "flag":
                http.getResponseHeaders().set("X-Kf-Transfer", "1");
                return text(message, "one moment");
            case "flag-account":
                http.getResponseHeaders().set("X-Kf-Transfer", "test1@test");
                return text(message, "one moment");
            case "veto":
                http.getResponseHeaders().set("X-Kf-Transfer", "0");
                return text(message, "I can do that");
            case "silent":
                return "success";
            case "transfer":
                return transfer(message);
            case "fail":
                throw new IllegalStateException("the database is gone");
            case "unknown":
                return text(message, "没听懂");
            default:
                return text(message, content);
        }
    }

    static String answerEvent(Map<String, String> message, HttpExchange http) {
        String event = message.get("Event") + " " + message.getOrDefault("EventKey", "");
        switch (event.trim()) {
            case "subscribe":
                return text(message, "welcome");
            case "CLICK flag":
                http.getResponseHeaders().set("X-Kf-Transfer", "1");
                return text(message, "one moment");
            case "CLICK transfer":
                return transfer(message);
            default:
                return "success";
        }
    }

    static String text(Map<String, String> message, String content) {
        return reply(message, "text", "<Content><![CDATA[" + content + "]]></Content>");
    }

    static String transfer(Map<String, String> message) {
        return reply(message, "transfer_customer_service", "");
    }

    static String reply(Map<String, String> message, String type, String rest) {
        return "<xml><ToUserName><![CDATA[" + message.get("FromUserName") + "]]></ToUserName>"
            + "<FromUserName><![CDATA[" + message.get("ToUserName") + "]]></FromUserName>"
            + "<CreateTime>" + System.currentTimeMillis() / 1000 + "</CreateTime>"
            + "<MsgType><![CDATA[" + type + "]]></MsgType>" + rest + "</xml>";
    }

    static boolean signed(Map<String, String> query) throws Exception {
        String[] parts = {TOKEN, query.getOrDefault("timestamp", ""), query.getOrDefault("nonce", "")};
        Arrays.sort(parts);
        byte[] digest = MessageDigest.getInstance("SHA-1").digest(String.join("", parts).getBytes());
        StringBuilder hex = new StringBuilder();
        for (byte b : digest) {
            hex.append(String.format("%02x", b));
        }
        return hex.toString().equals(query.get("signature"));
    }

    static Map<String, String> query(String raw) throws IOException {
        Map<String, String> query = new HashMap<>();
        for (String pair : raw == null ? new String[0] : raw.split("&")) {
            String[] parts = pair.split("=", 2);
            query.put(parts[0], parts.length > 1 ? URLDecoder.decode(parts[1], "UTF-8") : "");
        }
        return query;
    }

    static Map<String, String> parse(byte[] body) throws Exception {
        Element root = DocumentBuilderFactory.newInstance().newDocumentBuilder()
            .parse(new ByteArrayInputStream(body)).getDocumentElement();
        Map<String, String> message = new HashMap<>();
        NodeList children = root.getChildNodes();
        for (int i = 0; i < children.getLength(); i++) {
            message.put(children.item(i).getNodeName(), children.item(i).getTextContent().trim());
        }
        return message;
    }

    static void send(HttpExchange http, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        http.getResponseHeaders().set("Content-Type", "text/xml; charset=utf-8");
        http.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
        if (bytes.length > 0) {
            http.getResponseBody().write(bytes);
        }
        http.close();
    }
}
