//! The program by https: with a certificate of its own, and behind the proxy that `docs/operations/behind-a-proxy.md` shows.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;

use crate::{
    process::{PASSWORD, Serving, entrepot, new_key, refused, scratch},
    repository::root,
};

const HOST: &str = "hub.example";

/// A certificate for the host in files, and a client that trusts nobody else and finds the host at a port of this machine.
struct Site {
    certificate: String,
    key: String,
    authority: Vec<u8>,
}

impl Site {
    fn make(folder: &Path) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([HOST.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let file = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        Self {
            certificate: file("fullchain.pem", certificate.pem()),
            key: file("privkey.pem", key.serialize_pem()),
            authority: authority.der().to_vec(),
        }
    }

    fn client(&self, port: u16) -> reqwest::Client {
        #[expect(clippy::disallowed_methods, reason = "somebody who asks the program, and no part of it")]
        let builder = reqwest::Client::builder();
        let authority = reqwest::Certificate::from_der(&self.authority).unwrap();
        let builder = builder.no_proxy().tls_certs_only([authority]).redirect(reqwest::redirect::Policy::none());
        builder.resolve(HOST, ([127, 0, 0, 1], port).into()).timeout(Duration::from_secs(60)).build().unwrap()
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Ended when the test is.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

async fn answers(client: &reqwest::Client, url: &str) {
    let began = Instant::now();
    while !client.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(began.elapsed() < Duration::from_secs(90), "{url} does not answer");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn cookie_of(answer: &reqwest::Response) -> String {
    let cookies = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    cookies.filter(|cookie| cookie.contains("entrepot_session")).map(str::to_owned).next().expect("a session")
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_the_listener_speaks_https_and_what_follows_from_it_does() {
    let folder = scratch();
    let site = Site::make(folder.path());
    let port = free_port();
    let data = folder.path().join("data");
    let address = format!("127.0.0.1:{port}");
    let (data, key) = (data.to_str().unwrap().to_owned(), new_key());
    let environment = [
        ("ENTREPOT_MASTER_KEY", key.as_str()),
        ("ENTREPOT_TLS_CERTIFICATE", &site.certificate),
        ("ENTREPOT_TLS_KEY", &site.key),
        ("ENTREPOT_PUBLIC_URL", "https://hub.example"),
    ];
    let arguments = ["serve", "--listen", &address, "--data-dir", &data];
    let _serving = Ended(entrepot(&arguments, &environment).stderr(Stdio::null()).spawn().unwrap());
    let client = site.client(port);
    answers(&client, "https://hub.example/readyz").await;

    let form =
        json!({ "name": "Kata", "email": "kata@people.example", "password": PASSWORD, "organization_name": "K" });
    let signed_up = client.post("https://hub.example/api/sign-up").json(&form).send().await.unwrap();
    assert_eq!(signed_up.status(), 201);
    assert_eq!(signed_up.headers()["strict-transport-security"], "max-age=63072000");
    let cookie = cookie_of(&signed_up);
    assert!(cookie.starts_with("__Host-entrepot_session=") && cookie.contains("Secure"), "{cookie}");

    let metrics = client.get("https://hub.example/metrics").send().await.unwrap().text().await.unwrap();
    for gauge in ["entrepot_tls_certificate_seconds_left", "entrepot_tls_certificate_is_for_public_url 1"] {
        assert!(metrics.contains(gauge), "{gauge} is not in {metrics}");
    }
    // Plain http gets nothing of it.
    let plain = format!("http://127.0.0.1:{port}/healthz");
    assert!(client.get(plain).send().await.is_err());
}

#[test]
fn a_certificate_and_an_address_that_do_not_agree_are_refused_at_the_start() {
    let folder = scratch();
    let site = Site::make(folder.path());
    let key = new_key();
    let with = |more: &[(&str, &str)]| {
        let all: Vec<(&str, &str)> =
            [("ENTREPOT_MASTER_KEY", key.as_str())].into_iter().chain(more.iter().copied()).collect();
        refused(&["serve", "--listen", "127.0.0.1:0", "--data-dir", folder.path().join("data").to_str().unwrap()], &all)
    };
    let certificate = ("ENTREPOT_TLS_CERTIFICATE", site.certificate.as_str());
    let plain = with(&[certificate, ("ENTREPOT_TLS_KEY", &site.key), ("ENTREPOT_PUBLIC_URL", "http://127.0.0.1:8080")]);
    assert!(plain.contains("make them agree"), "{plain}");
    let alone = with(&[certificate]);
    assert!(alone.contains("--tls-key"), "{alone}");
    let swapped = with(&[certificate, ("ENTREPOT_TLS_KEY", &site.certificate)]);
    assert!(swapped.contains("holds no private key in PEM"), "{swapped}");
}

/// nginx, where it is installed.
fn nginx() -> Option<&'static str> {
    ["nginx", "/usr/sbin/nginx"].into_iter().find(|program| {
        Command::new(program).arg("-v").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    })
}

/// The example of the page, with the places of this test.
fn configuration(folder: &Path, site: &Site, upstream: &str, [https, http]: [u16; 2]) -> String {
    let page = fs::read_to_string(root().join("docs/operations/behind-a-proxy.md")).unwrap();
    let example = page.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let mut example = example.to_owned();
    for (there, here) in [
        ("127.0.0.1:8080", upstream),
        ("/etc/ssl/hub.example/fullchain.pem", &site.certificate),
        ("/etc/ssl/hub.example/privkey.pem", &site.key),
        ("listen 443", &format!("listen 127.0.0.1:{https}")),
        ("listen 80", &format!("listen 127.0.0.1:{http}")),
    ] {
        assert!(example.contains(there), "the example has no {there}");
        example = example.replace(there, here);
    }
    let place = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {place}/{name};\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {place}/nginx.pid;\nerror_log {place}/error.log;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{example}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_nginx_passes_its_own_check_and_serves() {
    let Some(nginx) = nginx() else {
        println!("skipped: nginx is not installed");
        return;
    };
    let folder = scratch();
    let site = Site::make(folder.path());
    let serving = Serving::with(
        &folder.path().join("data"),
        &new_key(),
        &[("ENTREPOT_PUBLIC_URL", "https://hub.example"), ("ENTREPOT_TRUSTED_PROXIES", "127.0.0.0/8")],
    );
    let [https, http] = [free_port(), free_port()];
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration(folder.path(), &site, &serving.address, [https, http])).unwrap();
    let file = file.to_str().unwrap();
    let checked = Command::new(nginx).args(["-t", "-c", file]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let _proxy = Ended(Command::new(nginx).args(["-c", file]).stderr(Stdio::null()).spawn().unwrap());
    let client = site.client(https);
    answers(&client, "https://hub.example/readyz").await;
    let form =
        json!({ "name": "Kata", "email": "kata@people.example", "password": PASSWORD, "organization_name": "K" });
    let signed_up = client.post("https://hub.example/api/sign-up").json(&form).send().await.unwrap();
    assert_eq!(signed_up.status(), 201);
    assert!(cookie_of(&signed_up).starts_with("__Host-"));
    let token = signed_up.json::<serde_json::Value>().await.unwrap()["session_token"].as_str().unwrap().to_owned();

    // A stream comes as it is written: its first line is there long before its end.
    let stream = client.get("https://hub.example/api/integrations/events/stream").bearer_auth(&token);
    let mut stream = stream.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let first = tokio::time::timeout(Duration::from_secs(10), stream.chunk()).await.expect("it is not held back");
    assert!(first.unwrap().is_some_and(|bytes| !bytes.is_empty()));

    // What is for this machine is not for those who come through a proxy on it.
    assert_eq!(client.get("https://hub.example/metrics").send().await.unwrap().status(), 404);
    // A body that Entrepot would refuse is refused, by one of the two.
    let large = client.post("https://hub.example/api/login").body(vec![b'a'; 2 << 20]).send().await.unwrap();
    assert_eq!(large.status(), 413);
    let plain = client.get(format!("http://hub.example:{http}/docs")).send().await.unwrap();
    assert_eq!(plain.status(), 308);
    assert_eq!(plain.headers()["location"], "https://hub.example/docs");
}
