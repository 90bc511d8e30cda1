//! The receiving side of SMTP (RFC 5321), as much of it as a sender meets: EHLO and HELO, MAIL, RCPT, DATA with its dots
//! unstuffed, RSET, NOOP, VRFY and QUIT, SIZE (RFC 1870), PIPELINING, 8BITMIME
//! and SMTPUTF8 (RFC 6531).

use super::{Behavior, Mailbox};
use anyhow::Context;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A message, in bytes.
const SIZE_MAX: usize = 1024 * 1024;
/// A command with its line end (RFC 5321, section 4.5.3.1.4, with room for extensions).
const COMMAND_MAX: usize = 1024;
/// Recipients of one message (section 4.5.3.1.8).
const RECIPIENTS_MAX: usize = 100;
/// Nobody keeps a connection open for longer without a word.
const PATIENCE: Duration = Duration::from_secs(60);

/// The mail server, running. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Smtp {
    pub(crate) address: SocketAddr,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Smtp {
    pub(crate) async fn start(mailbox: Mailbox, port: Option<u16>) -> anyhow::Result<Smtp> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let (stop, mut stopped) = watch::channel(());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    _ = stopped.changed() => return,
                    Some(_) = connections.join_next(), if !connections.is_empty() => {}
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            let mailbox = mailbox.clone();
                            connections.spawn(async move {
                                let (reader, writer) = stream.into_split();
                                if let Err(error) = converse(BufReader::new(reader), writer, &mailbox).await {
                                    tracing::debug!(%error, "a sender went away");
                                }
                            });
                        }
                        Err(error) => {
                            tracing::warn!(%error, "accept failed");
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    },
                }
            }
        });
        Ok(Smtp { address, stop, task })
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(());
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            tracing::error!(%error, "the mail server had panicked");
        }
    }
}

/// What a line of at most so many bytes is. Longer ones are read to their end and not kept.
enum Line {
    Text(String),
    TooLong,
    End,
}

async fn read_line<R: AsyncBufRead + Unpin>(reader: &mut R, max: usize) -> std::io::Result<Line> {
    let mut bytes = vec![];
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    let mut limited = (&mut *reader).take(limit);
    let read = tokio::time::timeout(PATIENCE, limited.read_until(b'\n', &mut bytes));
    let read = read.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    if read == 0 {
        return Ok(Line::End);
    }
    if !bytes.ends_with(b"\n") {
        if read < max {
            return Ok(Line::End);
        }
        loop {
            let chunk = reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(Line::End);
            }
            let (used, is_end) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (chunk.len(), false),
            };
            reader.consume(used);
            if is_end {
                return Ok(Line::TooLong);
            }
        }
    }
    bytes.pop();
    if bytes.ends_with(b"\r") {
        bytes.pop();
    }
    Ok(Line::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A message that is being handed over.
#[derive(Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
}

pub(super) async fn converse<R, W>(mut reader: R, mut writer: W, mailbox: &Mailbox) -> std::io::Result<()>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if mailbox.behavior() == Behavior::HangsUp {
        mailbox.note_refusal();
        return Ok(());
    }
    let mut say = async |reply: String| -> std::io::Result<()> {
        writer.write_all(reply.as_bytes()).await?;
        writer.write_all(b"\r\n").await?;
        writer.flush().await
    };
    say("220 mail.sandbox.example ESMTP".to_owned()).await?;
    let mut greeted = false;
    let mut envelope = Envelope::default();
    loop {
        let line = match read_line(&mut reader, COMMAND_MAX).await? {
            Line::Text(line) => line,
            Line::TooLong => {
                say("500 5.5.2 Line too long".to_owned()).await?;
                continue;
            }
            Line::End => return Ok(()),
        };
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match verb.to_ascii_uppercase().as_str() {
            "EHLO" if !rest.is_empty() => {
                (greeted, envelope) = (true, Envelope::default());
                format!(
                    "250-mail.sandbox.example\r\n250-SIZE {SIZE_MAX}\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 8BITMIME"
                )
            }
            "HELO" if !rest.is_empty() => {
                (greeted, envelope) = (true, Envelope::default());
                "250 mail.sandbox.example".to_owned()
            }
            "EHLO" | "HELO" => "501 5.5.4 Say who you are".to_owned(),
            "NOOP" => "250 2.0.0 OK".to_owned(),
            "RSET" => {
                envelope = Envelope::default();
                "250 2.0.0 OK".to_owned()
            }
            "VRFY" => "252 2.5.0 Cannot VRFY, but will take the message".to_owned(),
            "QUIT" => return say("221 2.0.0 Bye".to_owned()).await,
            "MAIL" | "RCPT" | "DATA" if !greeted => "503 5.5.1 EHLO first".to_owned(),
            "MAIL" => begin(&mut envelope, rest),
            "RCPT" => add_recipient(&mut envelope, rest, mailbox),
            "DATA" if envelope.to.is_empty() => "503 5.5.1 RCPT first".to_owned(),
            "DATA" => {
                say("354 End with a dot on a line of its own".to_owned()).await?;
                match read_message(&mut reader).await? {
                    None => return Ok(()),
                    Some(None) => {
                        mailbox.note_refusal();
                        envelope = Envelope::default();
                        "552 5.3.4 Message too big".to_owned()
                    }
                    Some(Some(raw)) => {
                        let Envelope { from, to } = std::mem::take(&mut envelope);
                        format!("250 2.0.0 Kept as {}", mailbox.deliver(from.unwrap_or_default(), to, raw))
                    }
                }
            }
            _ => "500 5.5.2 Unknown command".to_owned(),
        };
        say(reply).await?;
    }
}

fn begin(envelope: &mut Envelope, rest: &str) -> String {
    if envelope.from.is_some() {
        return "503 5.5.1 One sender at a time".to_owned();
    }
    let Some((from, parameters)) = path(rest, "FROM:") else { return "501 5.5.4 MAIL FROM:<address>".to_owned() };
    let size = parameters.split(' ').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("SIZE").then(|| value.parse::<usize>().ok())?
    });
    if size.is_some_and(|size| size > SIZE_MAX) {
        return "552 5.3.4 Message too big".to_owned();
    }
    envelope.from = Some(from.to_owned());
    "250 2.1.0 OK".to_owned()
}

fn add_recipient(envelope: &mut Envelope, rest: &str, mailbox: &Mailbox) -> String {
    if envelope.from.is_none() {
        return "503 5.5.1 MAIL first".to_owned();
    }
    let Some((to, _)) = path(rest, "TO:").filter(|(to, _)| to.contains('@')) else {
        return "501 5.5.4 RCPT TO:<address>".to_owned();
    };
    let refusal = match mailbox.behavior() {
        Behavior::RefusesRecipients => "550 5.1.1 No such user here",
        Behavior::IsBusy => "451 4.3.0 Come back later",
        Behavior::Accepts | Behavior::HangsUp if envelope.to.len() == RECIPIENTS_MAX => "452 4.5.3 Too many recipients",
        Behavior::Accepts | Behavior::HangsUp => {
            envelope.to.push(to.to_owned());
            return "250 2.1.5 OK".to_owned();
        }
    };
    mailbox.note_refusal();
    refusal.to_owned()
}

/// The address in `FROM:<address> PARAMETERS`, and the parameters.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let start = rest.get(..keyword.len()).filter(|start| start.eq_ignore_ascii_case(keyword))?;
    let (address, parameters) = rest[start.len()..].trim_start().strip_prefix('<')?.split_once('>')?;
    Some((address, parameters.trim()))
}

/// The message, its dots unstuffed (section 4.5.2). The inner None is one that is too big, which is read to its end all
/// the same; the outer a sender who went away.
async fn read_message<R: AsyncBufRead + Unpin>(reader: &mut R) -> std::io::Result<Option<Option<String>>> {
    let mut message = Some(String::new());
    loop {
        let line = match read_line(reader, SIZE_MAX).await? {
            Line::Text(line) => line,
            Line::TooLong => {
                message = None;
                continue;
            }
            Line::End => return Ok(None),
        };
        if line == "." {
            return Ok(Some(message));
        }
        let line = line.strip_prefix('.').unwrap_or(&line);
        message = message.filter(|kept| kept.len() + line.len() + 2 <= SIZE_MAX);
        if let Some(kept) = &mut message {
            kept.push_str(line);
            kept.push_str("\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server says to these bytes, one line for each reply.
    async fn hear(mailbox: &Mailbox, said: &str) -> Vec<String> {
        let mut heard = vec![];
        converse(BufReader::new(said.as_bytes()), &mut heard, mailbox).await.unwrap();
        String::from_utf8(heard).unwrap().lines().map(str::to_owned).collect()
    }

    fn codes(heard: &[String]) -> Vec<&str> {
        heard.iter().filter(|line| line.as_bytes()[3] == b' ').map(|line| &line[..3]).collect()
    }

    const HAND_OVER: &str = "EHLO me\r\nMAIL FROM:<a@example.com> SIZE=100\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";

    #[tokio::test]
    async fn a_message_arrives_with_its_dots_unstuffed() {
        let mailbox = Mailbox::default();
        let said = format!("{HAND_OVER}Subject: dots\r\n\r\n..one\r\n...two\r\nend\r\n.\r\nQUIT\r\n");
        let heard = hear(&mailbox, &said).await;
        assert_eq!(codes(&heard), ["220", "250", "250", "250", "354", "250", "221"]);
        let mails = mailbox.to("B@EXAMPLE.COM");
        assert_eq!(mails.len(), 1);
        assert_eq!((mails[0].from.as_str(), mails[0].subject.as_str()), ("a@example.com", "dots"));
        assert_eq!(mails[0].text, ".one\r\n..two\r\nend\r\n");
        assert_eq!(mailbox.find(1), Some(mails[0].clone()));
    }

    #[tokio::test]
    async fn commands_out_of_order_and_unknown_ones_are_refused() {
        let mailbox = Mailbox::default();
        let long = format!("NOOP {}\r\n", "x".repeat(3 * COMMAND_MAX));
        for (said, expected) in [
            ("MAIL FROM:<a@example.com>\r\n", "503"),
            ("EHLO\r\n", "501"),
            ("EHLO me\r\nRCPT TO:<b@example.com>\r\n", "503"),
            ("EHLO me\r\nDATA\r\n", "503"),
            ("EHLO me\r\nMAIL a@example.com\r\n", "501"),
            ("EHLO me\r\nMAIL FROM:<a@example.com> SIZE=9999999999\r\n", "552"),
            ("EHLO me\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<nobody>\r\n", "501"),
            ("EHLO me\r\nMAIL FROM:<a@example.com>\r\nMAIL FROM:<a@example.com>\r\n", "503"),
            ("STARTTLS\r\n", "500"),
            (long.as_str(), "500"),
            ("HELO me\r\nNOOP\r\nRSET\r\nVRFY x\r\n", "252"),
        ] {
            let heard = hear(&mailbox, said).await;
            assert_eq!(codes(&heard).last(), Some(&expected), "{said:.60}");
        }
        // A command that is too long is not half of the next.
        let heard = hear(&mailbox, &format!("{long}QUIT\r\n")).await;
        assert_eq!(codes(&heard), ["220", "500", "221"]);
        assert!(mailbox.all().is_empty());
    }

    #[tokio::test]
    async fn a_message_that_is_too_big_is_refused_and_the_next_is_taken() {
        let mailbox = Mailbox::default();
        let line = format!("{}\r\n", "x".repeat(900));
        let big = line.repeat(SIZE_MAX / line.len() + 2);
        let said = format!("{HAND_OVER}{big}.\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nsmall\r\n.\r\n");
        let heard = hear(&mailbox, &said).await;
        assert_eq!(codes(&heard), ["220", "250", "250", "250", "354", "552", "250", "250", "354", "250"]);
        assert_eq!(mailbox.all().len(), 1);
    }

    #[tokio::test]
    async fn it_refuses_as_it_is_told() {
        let mailbox = Mailbox::default();
        let said = "EHLO me\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";
        for (behavior, expected) in [(Behavior::RefusesRecipients, "550"), (Behavior::IsBusy, "451")] {
            mailbox.behave(behavior);
            let heard = hear(&mailbox, said).await;
            assert_eq!(codes(&heard)[3..], [expected, "503"], "{behavior:?}");
        }
        mailbox.behave(Behavior::HangsUp);
        assert!(hear(&mailbox, said).await.is_empty());
        assert_eq!(mailbox.refused(), 3);
        mailbox.behave(Behavior::Accepts);
        // A sender who goes away in the middle has sent nothing.
        assert_eq!(codes(&hear(&mailbox, &format!("{HAND_OVER}half\r\n")).await).last(), Some(&"354"));
        assert!(mailbox.all().is_empty());
    }
}
