// An MSRP endpoint made with msrp-java, told what to do by lines on standard input; it tells on standard output.

import java.net.InetAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Scanner;
import javax.net.msrp.IncomingMessage;
import javax.net.msrp.MemoryDataContainer;
import javax.net.msrp.Message;
import javax.net.msrp.OutgoingMessage;
import javax.net.msrp.Session;
import javax.net.msrp.SessionListener;
import javax.net.msrp.Transaction;
import javax.net.msrp.TransactionResponse;
import javax.net.msrp.events.MessageAbortedEvent;

public class MsrpEndpoint implements SessionListener {
    static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    public static void main(String[] arguments) throws Exception {
        Session session = Session.create(false, false, InetAddress.getByName("127.0.0.1"));
        session.setListener(new MsrpEndpoint());
        say("uri " + session.getURI());
        Scanner lines = new Scanner(System.in);
        while (lines.hasNextLine()) {
            String[] words = lines.nextLine().split(" ", 2);
            if (words[0].equals("connect")) {
                ArrayList<URI> path = new ArrayList<URI>();
                for (String uri : words[1].split(" ")) {
                    path.add(new URI(uri));
                }
                session.setToPath(path);
            } else {
                String text = words[0].equals("large") ? "x".repeat(Integer.parseInt(words[1])) : words[1];
                OutgoingMessage message = new OutgoingMessage("text/plain", text.getBytes(StandardCharsets.UTF_8));
                message.setSuccessReport(true);
                session.sendMessage(message);
            }
        }
        System.exit(0);
    }

    public boolean acceptHook(Session session, IncomingMessage message) {
        message.setDataContainer(new MemoryDataContainer((int) message.getSize()));
        return true;
    }

    public void receivedMessage(Session session, IncomingMessage message) {
        say("received " + message.getSize() + " " + (message.getSize() < 1000 ? message.getContent() : ""));
    }

    public void receivedReport(Session session, Transaction report) {
        say("report " + report.getStatusHeader().getStatusCode());
    }

    public void receivedNickname(Session session, Transaction request) {}

    public void receivedNickNameResult(Session session, TransactionResponse result) {}

    public void abortedMessageEvent(MessageAbortedEvent event) {
        say("aborted");
    }

    public void updateSendStatus(Session session, Message message, long octets) {}

    public void connectionLost(Session session, Throwable cause) {
        say("lost");
    }
}
