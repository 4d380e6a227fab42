import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

@WebServlet("/*")
public class WeChatServlet extends HttpServlet {
    private static final String TOKEN = "kfgatetoken";

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        if (!signed(request)) {
            response.sendError(HttpServletResponse.SC_FORBIDDEN);
            return;
        }
        response.getWriter().write(request.getParameter("echostr"));
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        if (!signed(request)) {
            response.sendError(HttpServletResponse.SC_FORBIDDEN);
            return;
        }
        Map<String, String> message = parse(request.getInputStream());
        response.setContentType("text/xml;charset=UTF-8");
        response.getWriter().write(answer(message, response));
    }

    private String answer(Map<String, String> message, HttpServletResponse response) {
        switch (message.get("MsgType")) {
            case "text":
                return answerText(message, response);
            case "event":
                return answerEvent(message, response);
            default:
                return "success";
        }
    }

    private String answerText(Map<String, String> message, HttpServletResponse response) {
        String content = message.getOrDefault("Content", "");
        switch (content) {
            case "ping":
                return text(message, "pong");
            case "flag":
                response.setHeader("X-Kf-Transfer", "1");
                return text(message, "one moment");
            case "flag-account":
                response.setHeader("X-Kf-Transfer", "test1@test");
                return text(message, "one moment");
            case "veto":
                response.setHeader("X-Kf-Transfer", "0");
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

    private String answerEvent(Map<String, String> message, HttpServletResponse response) {
        String event = message.get("Event");
        String key = message.get("EventKey");
        if ("subscribe".equals(event)) {
            return text(message, "welcome");
        }
        if ("CLICK".equals(event) && "flag".equals(key)) {
            response.setHeader("X-Kf-Transfer", "1");
            return text(message, "one moment");
        }
        if ("CLICK".equals(event) && "transfer".equals(key)) {
            return transfer(message);
        }
        return "success";
    }

    private String text(Map<String, String> message, String content) {
        return reply(message, "text", "<Content><![CDATA[" + content + "]]></Content>");
    }

    private String transfer(Map<String, String> message) {
        return reply(message, "transfer_customer_service", "");
    }

    private String reply(Map<String, String> message, String type, String rest) {
        return "<xml><ToUserName><![CDATA[" + message.get("FromUserName") + "]]></ToUserName>"
            + "<FromUserName><![CDATA[" + message.get("ToUserName") + "]]></FromUserName>"
            + "<CreateTime>" + System.currentTimeMillis() / 1000 + "</CreateTime>"
            + "<MsgType><![CDATA[" + type + "]]></MsgType>" + rest + "</xml>";
    }

    private boolean signed(HttpServletRequest request) {
        String timestamp = request.getParameter("timestamp");
        String nonce = request.getParameter("nonce");
        if (timestamp == null || nonce == null) {
            return false;
        }
        String[] parts = {TOKEN, timestamp, nonce};
        Arrays.sort(parts);
        return sha1(String.join("", parts)).equals(request.getParameter("signature"));
    }

    private String sha1(String text) {
        try {
            StringBuilder hex = new StringBuilder();
            for (byte b : MessageDigest.getInstance("SHA-1").digest(text.getBytes())) {
                hex.append(String.format("%02x", b));
            }
            return hex.toString();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private Map<String, String> parse(InputStream body) {
        try {
            Element root = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(body).getDocumentElement();
            Map<String, String> message = new HashMap<>();
            NodeList children = root.getChildNodes();
            for (int i = 0; i < children.getLength(); i++) {
                message.put(children.item(i).getNodeName(), children.item(i).getTextContent().trim());
            }
            return message;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
