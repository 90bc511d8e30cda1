//! From what a person typed to an address, and from a home URL to the name of an account.

use connector::{http::Http, provider::ConnectError};
use url::Url;

use super::{SHOP_URL, invalid};

/// Where people copy from when they copy the address of a page.
const NOT_HOME: &[&str] = &["/wp-admin", "/wp-login.php", "/wp-json"];

/// The address of the shop's home page, with a slash at its end. Without a scheme it is https; host names beyond ASCII
/// become punycode; a sub-directory stays; query and fragment go, and so does the tail of an admin page's address.
pub(in super::super) fn clean(typed: &str, http: &Http) -> Result<Url, ConnectError> {
    let typed = typed.trim();
    let unreadable =
        || invalid(SHOP_URL, "This is not a web address. Type the shop's home page, such as https://shop.example.");
    if typed.is_empty() || typed.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(unreadable());
    }
    let mut url = match typed.split_once("://") {
        Some(_) => Url::parse(typed),
        None => Url::parse(&format!("https://{typed}")),
    }
    .map_err(|_| unreadable())?;
    url.set_query(None);
    url.set_fragment(None);
    let mut path = url.path().to_owned();
    if let Some(end) = NOT_HOME.iter().filter_map(|tail| path.find(tail)).min() {
        path.truncate(end);
    }
    url.set_path(&as_folder(&path));
    http.check(&url).map_err(|refusal| invalid(SHOP_URL, format!("The shop cannot be called: {refusal}.")))?;
    Ok(url)
}

pub(super) fn as_folder(path: &str) -> String {
    format!("{}/", path.trim_end_matches('/'))
}

/// The name of an account: its home URL without scheme, `www.` and the slash at its end (`shop.example`,
/// `example.com/shop`). A shop that moves to https, or between the two forms of its host that WordPress itself redirects
/// to one another, stays the same account; one in another folder is another.
pub(in super::super) fn canonical(home: &Url) -> String {
    let port = home.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}{}", bare_host(home), home.path().trim_end_matches('/'))
}

/// Whether two URLs are on one host, but for `www.`.
pub(super) fn same_host(one: &Url, other: &Url) -> bool {
    bare_host(one) == bare_host(other)
}

fn bare_host(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default();
    host.strip_prefix("www.").unwrap_or(host)
}
