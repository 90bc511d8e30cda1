//! How every mail looks: one frame for all, as plain text and as HTML with the same words.

use kernel::Secret;

/// What a mail says.
pub struct Letter {
    /// The kind of mail, in snake case, for people who look why one was not sent.
    pub kind: &'static str,
    pub subject: String,
    pub paragraphs: Vec<String>,
    pub link: Option<Link>,
    /// Small print: what to do if one did not expect this.
    pub closing: String,
}

/// The one thing to press.
pub struct Link {
    pub label: &'static str,
    /// With a token in it.
    pub url: Secret,
}

impl Letter {
    /// Plain text and HTML. Nothing is loaded from elsewhere and nothing tells us whether it was read.
    pub(super) fn render(&self) -> (String, String) {
        let mut text = self.paragraphs.join("\n\n");
        let paragraph = |text: &str| format!("<p style=\"margin:0 0 16px\">{}</p>\n", escape(text));
        let mut html: String = self.paragraphs.iter().map(|text| paragraph(text)).collect();
        if let Some(link) = &self.link {
            let url = link.url.expose();
            text.push_str(&format!("\n\n{}:\n{url}", link.label));
            html.push_str(&format!(
                "<p style=\"margin:24px 0\"><a href=\"{0}\" style=\"background:#1d4ed8;color:#ffffff;padding:12px 20px;\
                 border-radius:6px;text-decoration:none;display:inline-block\">{1}</a></p>\n\
                 <p style=\"margin:0 0 16px;color:#57606a;font-size:13px;word-break:break-all\">{0}</p>\n",
                escape(url),
                escape(link.label)
            ));
        }
        text.push_str(&format!("\n\n{}\n\n-- \nEntrepot\n", self.closing));
        let page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n\
             <body style=\"margin:0;background:#f6f8fa;font:16px/1.5 system-ui,sans-serif;color:#1f2328\">\n\
             <div style=\"max-width:560px;margin:0 auto;padding:32px 24px;background:#ffffff\">\n{html}\
             <p style=\"margin:24px 0 0;color:#57606a;font-size:13px\">{}</p>\n\
             <p style=\"margin:16px 0 0;color:#57606a;font-size:13px\">Entrepot</p>\n</div></body></html>\n",
            escape(&self.subject),
            escape(&self.closing)
        );
        (text, page)
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_mail_are_text_in_both_of_its_parts() {
        let letter = Letter {
            kind: "test",
            subject: "From <b>Kata</b> & Co.".to_owned(),
            paragraphs: vec!["<script>\"x\"</script> invites you.".to_owned()],
            link: Some(Link { label: "Accept", url: Secret::new("https://entrepot.example/link#a=1&b=2") }),
            closing: "Ignore this if you do not know them.".to_owned(),
        };
        let (text, html) = letter.render();
        assert!(
            text.contains("<script>\"x\"</script> invites you.\n\nAccept:\nhttps://entrepot.example/link#a=1&b=2\n")
        );
        assert!(html.contains("&lt;script&gt;&quot;x&quot;&lt;/script&gt; invites you."));
        assert!(html.contains("href=\"https://entrepot.example/link#a=1&amp;b=2\""));
        assert!(!html.contains("<script>") && !html.contains("<b>"));
    }
}
